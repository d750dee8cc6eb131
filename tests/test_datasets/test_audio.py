from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import MMLogger

from cast_mmaction.datasets import (EpicKitchensDataset, EpochSampler,
                                    MissingSound, MissingSoundHook,
                                    UnreadableVideo, VideoListDataset)
from cast_mmaction.datasets.audio import spread_windows
from cast_mmaction.datasets.sound import read_sound
from cast_mmaction.models.audio_visual import AUDIOSET_MEAN
from cast_mmaction.spectrograms.fbank import fbank
from mmaction.registry import MODELS, TRANSFORMS
from tests.decoders import DECODERS
from tests.sounding import FPS, damage_sound, tone, write_sounding

RATE = 16000
SWEEP = tone(4, RATE) * np.linspace(0.1, 1, 4 * RATE, dtype=np.float32)


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    """Four seconds, of which all sound differs."""
    path = tmp_path_factory.mktemp('sounding') / 'video.mp4'
    return write_sounding(path, SWEEP, RATE, 'mono', seconds=4)


def steps(num_clips=1, decoder='pyav', **options):
    options = dict(dict(num_frames=100, num_mel_bins=32), **options)
    return [
        dict(type='VideoInit', decoder=decoder),
        dict(
            type='ClipSampleFrames',
            mode='uniform',
            clip_len=4,
            num_clips=num_clips,
            test_mode=options.get('test_mode', False)),
        dict(type='AudioDecode', **options),
        dict(type='VideoDecode')
    ]


def run(sample, *more, **options):
    sample = sample if isinstance(sample, dict) else dict(filename=sample)
    pipeline = Compose([
        TRANSFORMS.build(step) for step in [*steps(**options), *more]])
    return pipeline(sample)


@pytest.fixture(scope='module')
def whole(video):
    """The spectrogram of all of it."""
    sound = read_sound(video, 0, 4 * RATE, RATE)
    return fbank(torch.from_numpy(sound.samples), RATE, 32)


def place_of(view, whole):
    """Where in the whole spectrogram a view begins."""
    distances = [(view - whole[i:i + len(view)]).abs().mean()
                 for i in range(len(whole) - len(view) + 1)]
    assert min(distances) < 0.05
    return int(np.argmin(distances))


@pytest.mark.parametrize('decoder', DECODERS)
def test_a_window_of_the_sound(video, whole, decoder):
    np.random.seed(0)
    found = [run(video, decoder=decoder) for _ in range(4)]
    for results in found:
        assert results['audio'].shape == (1, 1, 100, 32)
        assert results['audio'].dtype == torch.float32
        assert results['has_audio'].tolist() == [True]
        assert results['missing_sound'] == ''
        assert len(results['imgs']) == 4
    places = {place_of(x['audio'][0, 0], whole) for x in found}
    assert len(places) == 4  # random


def test_the_middle_in_validation(video, whole):
    results = run(video, test_mode=True)
    room = len(whole) - 100
    assert place_of(results['audio'][0, 0], whole) == room // 2


def test_every_view_of_a_test_hears_its_part(video, whole):
    results = run(video, num_clips=2, num_crops=3, test_mode=True)
    assert results['audio'].shape == (6, 1, 100, 32)
    assert results['has_audio'].all()
    room = len(whole) - 100
    # Crop by crop, as the views of the frames; (3 clip + crop + 3) / 12.
    expected = [room * x // 12 for x in (3, 6, 4, 7, 5, 8)]
    assert spread_windows(room, 2, 3) == expected
    assert [place_of(x[0], whole) for x in results['audio']] == expected


def test_a_shorter_sound_is_filled_at_its_end(video, whole):
    audio = run(video, num_frames=1024)['audio'][0, 0]
    torch.testing.assert_close(audio[:398], whole, atol=1e-3, rtol=1e-3)
    assert not audio[398:].any()


def test_the_segment_of_the_frames(video, whole):
    results = run(
        dict(filename=video, start_time=1., stop_time=2.),
        num_frames=1024)
    audio = results['audio'][0, 0]
    torch.testing.assert_close(audio[:98], whole[100:198], atol=0.2, rtol=0.2)
    assert not audio[98:].any()


def test_sound_of_other_files(video, whole, tmp_path):
    write_sounding(
        tmp_path / 'video.flac', SWEEP, RATE, 'mono', 'flac', pictures=False)
    write_sounding(
        tmp_path / 'P01_7.wav',
        SWEEP[RATE:2 * RATE],
        RATE,
        'mono',
        'pcm_s16le',
        pictures=False)
    sample = dict(
        filename=video, start_time=1., stop_time=2., narration_id='P01_7')
    expected = run(dict(sample), num_frames=1024)['audio']
    for options in (dict(file=f'{tmp_path}/{{stem}}.flac'),
                    dict(
                        file=f'{tmp_path}/{{narration_id}}.wav',
                        trimmed=True)):
        audio = run(dict(sample), num_frames=1024, **options)['audio']
        assert (audio - expected).abs().mean() < 0.05
    with pytest.raises(ValueError, match='samples have no .nothing.*stem'):
        run(dict(sample), file='{nothing}.wav')


def test_files_without_an_ending_in_a_folder_of_frames(video, tmp_path):
    import cv2
    folder = tmp_path / 'video'
    folder.mkdir()
    for number in range(1, 5):
        cv2.imwrite(str(folder / f'{number}.png'), np.zeros((8, 8, 3)))
    sample = dict(
        frame_dir=str(folder),
        filename_tmpl='{}.png',
        start_frame=1,
        stop_frame=4)
    file = video.replace('video.mp4', '{stem}.mp4')
    with pytest.raises(ValueError, match='video: how long these frames'):
        run(dict(sample), file=file)
    sample.update(start_time=1., stop_time=2.)
    assert run(dict(sample), file=file)['has_audio'].all()


@pytest.mark.parametrize('options, reason', [
    (dict(sound=None), 'no audio track'),
    (dict(sound=tone(1)), 'its sound covers 5[0-9]% of what is needed'),
    (dict(sound=tone(1), sound_start=1.), 'covers'),
    (dict(sound=np.zeros(88200, np.float32)), 'is silent'),
])
def test_missing_sound_is_marked_or_an_error(tmp_path, options, reason):
    path = write_sounding(tmp_path / 'quiet.mp4', **options)
    results = run(path, num_frames=400)
    assert results['audio'].shape == (1, 1, 400, 32)
    assert results['has_audio'].tolist() == [False]
    assert len(results['imgs']) == 4  # the video counts
    with pytest.raises(MissingSound, match=f'quiet.mp4: .*{reason}'):
        run(path, num_frames=400, missing='error')
    results = run(path, num_clips=2, num_crops=3, test_mode=True)
    assert results['has_audio'].tolist() == [False] * 6


def test_a_part_may_be_allowed_to_lack(tmp_path):
    path = write_sounding(tmp_path / 'video.mp4', tone(1), sound_start=0.5)
    results = run(path, num_frames=400, min_share=0.4)
    assert results['has_audio'].all()
    audio = results['audio'][0, 0]
    there = audio.any(dim=1).nonzero()
    # No frame is made of silence: half of the sound is there.
    assert 48 <= there.min() <= 52 and 140 <= there.max() <= 152
    assert audio[there.squeeze()].min() > -15


def test_damaged_sound_beside_a_good_video(tmp_path):
    path = write_sounding(tmp_path / 'hurt.mp4', tone(2))
    damage_sound(path, after=0.)
    results = run(path)
    assert 'its sound is damaged' in results['missing_sound']
    assert len(results['imgs']) == 4


def test_a_segment_too_short(video):
    results = run(dict(filename=video, start_time=1., stop_time=1.02))
    assert 'too short' in results['missing_sound']


def test_sound_without_video(tmp_path):
    path = write_sounding(
        tmp_path / 'blind.mp4', tone(2), pictures=False)
    with pytest.raises(UnreadableVideo, match='blind.mp4: has no video'):
        run(path)


@pytest.mark.parametrize('options, message', [
    (dict(missing='skip'), "'mark' or 'error'"),
    (dict(num_frames=0), 'at least 1'),
    (dict(sample_rate=22055), 'multiple of 100'),
    (dict(min_share=2), 'min_share=2'),
    (dict(num_crops=3), 'test_mode=True'),
    (dict(trimmed=True), 'file='),
])
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        steps_of = steps(**options)[2]
        TRANSFORMS.build(steps_of)


def test_spec_augment_hides_stretches_and_bands():
    audio = torch.ones(1, 1, 400, 128)
    step = TRANSFORMS.build(dict(type='SpecAugment'))
    np.random.seed(3)
    hidden = step(dict(audio=audio))['audio'][0, 0] == np.float32(
        AUDIOSET_MEAN)
    assert (audio == 1).all()  # the input is as it was
    frames, bins = hidden.all(dim=1), hidden.all(dim=0)
    assert 0 < frames.sum() <= 2 * 69 and 0 < bins.sum() <= 2 * 19
    assert (hidden == (frames[:, None] | bins)).all()
    # Masks as wide as the spectrogram are cut.
    step(dict(audio=torch.ones(1, 1, 5, 3)))


INPUTS = ('imgs', 'audio', 'has_audio')


def list_of(folder, lines, **options):
    (folder / 'list.txt').write_text(''.join(f'{x} 0\n' for x in lines))
    more = [
        dict(type='FormatShape', input_format='NCTHW'),
        dict(
            type='PackActionInputs',
            collect_keys=INPUTS,
            meta_keys=('missing_sound', ))
    ]
    return VideoListDataset(
        str(folder / 'list.txt'), [*steps(), dict(type='SpecAugment'), *more],
        data_prefix=dict(video=str(folder)),
        **options)


def test_draws_depend_on_seed_epoch_and_index_alone(tmp_path):
    write_sounding(tmp_path / 'a.mp4', SWEEP, RATE, 'mono', seconds=4)
    dataset = list_of(tmp_path, ['a.mp4'] * 2)
    index = list(EpochSampler(dataset, shuffle=False, seed=1))[1]
    first, again = dataset[index], dataset[index]
    other = dataset[type(index)(1, 1, 1)]
    assert torch.equal(first['inputs']['audio'], again['inputs']['audio'])
    assert not torch.equal(first['inputs']['audio'],
                           other['inputs']['audio'])


def test_hook_counts_and_lists(tmp_path):
    write_sounding(tmp_path / 'good.mp4', tone(2))
    write_sounding(tmp_path / 'mute.mp4', None)
    dataset = list_of(tmp_path, ['good.mp4', 'mute.mp4'])
    batch = pseudo_collate([dataset[0], dataset[1]])
    assert [x.tolist() for x in batch['inputs']['has_audio']] == [[True],
                                                                  [False]]
    hook = MissingSoundHook()
    runner = SimpleNamespace(
        work_dir=str(tmp_path),
        logger=MMLogger.get_instance('sound', log_level='ERROR'))
    hook.after_train_iter(runner, 0, batch)
    hook.after_train_epoch(runner)
    lines = (tmp_path / 'missing_sound.txt').read_text().splitlines()
    assert lines == [f'1\t{tmp_path}/mute.mp4: has no audio track']


def test_unreadable_video_has_no_sound_either(tmp_path):
    write_sounding(tmp_path / 'good.mp4', tone(2))
    (tmp_path / 'bad.mp4').write_bytes(b'nothing')
    dataset = list_of(tmp_path, ['good.mp4', 'bad.mp4'], test_mode=True)
    data = dataset[1]
    assert data['data_samples'].unreadable
    assert data['inputs']['has_audio'].tolist() == [False]


def test_epic_kitchens_with_sound_of_untrimmed_videos(tmp_path):
    folder = tmp_path / 'P01/videos'
    folder.mkdir(parents=True)
    path = write_sounding(
        folder / 'P01_01.MP4', SWEEP, RATE, 'mono', seconds=4)
    (tmp_path / 'val.csv').write_text(
        'narration_id,participant_id,video_id,start_timestamp,stop_timestamp,'
        'start_frame,stop_frame,verb_class,noun_class\n'
        f'P01_01_0,P01,P01_01,00:00:01.00,00:00:02.00,{FPS},{2 * FPS},3,5\n')
    dataset = EpicKitchensDataset(
        str(tmp_path / 'val.csv'), [
            *steps(num_frames=400, test_mode=True),
            dict(type='FormatShape', input_format='NCTHW'),
            dict(type='PackVerbNounInputs', collect_keys=INPUTS)
        ],
        data_prefix=dict(videos=str(tmp_path)),
        test_mode=True)
    data = dataset[0]
    assert data['data_samples'].missing_sound == ''
    assert data['inputs']['imgs'].shape == (1, 3, 4, 32, 32)
    expected = run(
        dict(filename=path, start_time=1., stop_time=2.),
        num_frames=400)['audio']
    assert torch.equal(data['inputs']['audio'], expected)


def test_seconds_of_frames_and_spectrograms(video):
    """Four seconds, two clips of four frames, three crops, windows of 1 s."""
    results = run(video, num_clips=2, num_crops=3, test_mode=True)
    frames, sounds = results['imgs_times'], results['audio_times']
    assert frames.shape == (6, 4) and sounds.shape == (6, 2)
    torch.testing.assert_close(
        frames[3].numpy() * FPS,
        results['frame_inds'][4:].astype(np.float32))
    assert torch.equal(frames[:2], frames[2:4])
    starts = spread_windows(398 - 100, 2, 3)
    torch.testing.assert_close(sounds[:, 0], torch.tensor(starts) / 100)
    torch.testing.assert_close(sounds[:, 1] - sounds[:, 0], torch.ones(6))


# spectrograms that the data preprocessor makes


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('deferred')
    sweep = tone(4, 44100) * np.linspace(0.1, 1, 4 * 44100, dtype=np.float32)
    write_sounding(folder / 'stereo.mp4', sweep, seconds=4)
    write_sounding(
        folder / 'late.mkv', SWEEP[:3 * RATE], RATE, 'mono', 'pcm_s16le',
        seconds=4, sound_start=0.5)
    write_sounding(folder / 'odd.mkv', tone(4, 44101), 44101, 'mono',
                   'pcm_s16le', seconds=4)
    write_sounding(folder / 'mute.mp4', None)
    return folder


@pytest.mark.parametrize('options', [
    dict(num_frames=100),
    dict(num_frames=1024),
    dict(num_frames=120, num_clips=2, num_crops=3, test_mode=True)
])
def test_deferred_spectrograms_are_the_same(folder, options):
    preprocessor = MODELS.build(dict(type='AudioVisualDataPreprocessor'))
    names = ['stereo.mp4', 'late.mkv', 'odd.mkv', 'mute.mp4']
    found = {}
    for defer in (False, True):
        pack = dict(
            type='PackActionInputs',
            collect_keys=('audio', ),
            meta_keys=('missing_sound', 'sound'))
        np.random.seed(0)  # the same windows and masks
        batch = pseudo_collate([
            run(str(folder / name), dict(type='SpecAugment', time_mask=20),
                dict(type='SpecAugment'), pack, defer=defer, min_share=0.,
                **options) for name in names
        ])
        shapes = {x.dim() for x in batch['inputs']['audio']}
        assert shapes == ({1} if defer else {4})
        found[defer] = preprocessor(batch)['inputs']
    assert found[True].shape[1:] == (
        options.get('num_clips', 1) * options.get('num_crops', 1), 1,
        options['num_frames'], 32)
    assert torch.equal(found[True], found[False])


def test_deferred_without_its_form(folder):
    preprocessor = MODELS.build(dict(type='AudioVisualDataPreprocessor'))
    pack = dict(type='PackActionInputs', collect_keys=('audio', ))
    batch = pseudo_collate([run(str(folder / 'stereo.mp4'), pack, defer=True)])
    with pytest.raises(ValueError, match="add 'sound' to the meta_keys"):
        preprocessor(batch)
