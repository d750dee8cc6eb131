"""Videos with sound, written by the tests."""
from fractions import Fraction
from pathlib import Path
from typing import Optional

import av
import numpy as np

FPS = 25


def tone(seconds: float,
         rate: int = 44100,
         frequency: float = 700.,
         begin: float = 0.,
         end: float = np.inf) -> np.ndarray:
    """A tone from `begin` to `end` over a faint noise, (N, ), float32."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.RandomState(0).standard_normal(len(time))
    sound = 0.3 * np.sin(2 * np.pi * frequency * time)
    return (sound * (begin <= time) * (time < end) +
            0.001 * noise).astype(np.float32)


def write_sound(container, stream, sound: np.ndarray, rate: int, layout: str,
                start: float) -> None:
    """Encode the same sound for every channel, `start` seconds late."""
    channels = len(av.AudioLayout(layout).channels)
    size = stream.codec_context.frame_size or 1024
    for place in range(0, len(sound), size):
        part = np.repeat(sound[None, place:place + size], channels, axis=0)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(part), 'fltp', layout)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = place + round(start * rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_sounding(path: Path,
                   sound: Optional[np.ndarray],
                   rate: int = 44100,
                   layout: str = 'stereo',
                   codec: str = 'aac',
                   seconds: float = 2.,
                   sound_start: float = 0.,
                   video_start: float = 0.,
                   pictures: bool = True) -> str:
    """Write a file of 32 x 32 pixels and 25 frames a second.

    Args:
        path: Its ending names the container.
        sound: Samples, (N, ); None for no audio track.
        rate: Of `sound`, Hz.
        layout: Channels, which all get the same.
        codec: Of the sound.
        seconds: Length of the video.
        sound_start: Seconds by which the sound is late.
        video_start: Seconds by which the video is late.
        pictures: Whether there is a video stream.

    Returns:
        The path.
    """
    with av.open(str(path), 'w') as container:
        if pictures:
            video = container.add_stream('libx264', rate=FPS)
            video.width = video.height = 32
            video.pix_fmt = 'yuv420p'
        if sound is not None:
            track = container.add_stream(codec, rate=rate)
            track.codec_context.layout = layout
        for i in range(round(seconds * FPS) if pictures else 0):
            grey = np.full((32, 32, 3), 5 * i % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, 'rgb24')
            frame.pts = i + round(video_start * FPS)
            frame.time_base = Fraction(1, FPS)
            container.mux(video.encode(frame))
        if pictures:
            container.mux(video.encode())
        if sound is not None:
            write_sound(container, track, sound, rate, layout, sound_start)
    return str(path)


def damage_sound(path: str, after: float) -> None:
    """Overwrite the coded sound of a file from a second on."""
    with av.open(path) as container:
        places = [(packet.pos, packet.size)
                  for packet in container.demux(audio=0)
                  if packet.size and packet.pts * packet.time_base >= after]
    with open(path, 'r+b') as file:
        for place, size in places:
            file.seek(place)
            file.write(bytes([0xa5] * size))
