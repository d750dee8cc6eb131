"""Reading by the decoder of a GPU; skipped where there is none."""
import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from cast_mmaction.datasets import VideoListDataset
from cast_mmaction.datasets.seeding import SampleIndex
from cast_mmaction.datasets.video import PyAVReader, TorchCodecReader
from cast_mmaction.host import torchcodec_problem
from cast_mmaction.watched_loader import WatchedLoader

av = pytest.importorskip('av', reason='PyAV makes the video')
pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU'),
    pytest.mark.skipif(
        torchcodec_problem() is not None, reason=str(torchcodec_problem()))
]


def test_nvdec_gives_the_frames_of_the_cpu(tmp_path):
    """By number; its colours may differ a little."""
    path = make_video(tmp_path / 'video.mp4')
    expected = np.stack(PyAVReader(path).read(range(40))).astype(int)
    for wanted in (range(40), [7], [0, 19, 33]):
        reader = TorchCodecReader(path, device='cuda')
        for number, frame in zip(wanted, reader.read(wanted)):
            assert frame.shape == (240, 320, 3)
            distances = np.abs(expected - frame).mean((1, 2, 3))
            assert distances.argmin() == number
            assert distances[number] < 2
    segment = TorchCodecReader(path, .5, 1., device='cuda')
    frame, = segment.read([0])
    assert np.abs(expected - frame).mean((1, 2, 3)).argmin() == 10


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_nvdec_in_a_worker_of_the_loader(tmp_path, start):
    torch.zeros(1, device='cuda')  # as in every training
    path = make_video(tmp_path / 'video.mp4')
    (tmp_path / 'list.txt').write_text(f'{path} 0\n')
    loader = WatchedLoader(
        VideoListDataset(
            str(tmp_path / 'list.txt'), [
                dict(type='VideoInit', decoder='torchcodec', device='cuda'),
                dict(type='ClipSampleFrames', mode='dense', clip_len=4,
                     frame_interval=2),
                dict(type='VideoDecode'),
                dict(type='FormatShape', input_format='NCTHW'),
                dict(type='PackActionInputs')
            ]),
        sampler=[SampleIndex(0, 0, 0)],
        num_workers=1,
        multiprocessing_context=start,
        collate_fn=pseudo_collate)
    if start == 'fork':
        with pytest.raises(RuntimeError, match='num_workers=0 or multiproces'):
            list(loader)
    else:
        batch, = loader
        assert batch['inputs'][0].shape == (1, 3, 4, 240, 320)


def make_video(path):
    """Forty frames of a camera that moves over blocks of colour."""
    scene = np.random.RandomState(0).randint(0, 256, (15, 40, 3), np.uint8)
    scene = scene.repeat(16, 0).repeat(16, 1)
    with av.open(str(path), 'w') as container:
        stream = container.add_stream(
            'libx264', rate=20, options=dict(g='16', bf='2'))
        stream.width, stream.height, stream.pix_fmt = 320, 240, 'yuv420p'
        for number in range(40):
            image = scene[:, 8 * number:8 * number + 320]
            container.mux(stream.encode(
                av.VideoFrame.from_ndarray(
                    np.ascontiguousarray(image), 'rgb24')))
        container.mux(stream.encode())
    return str(path)
