import json
import shutil
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import DATASETS
from torch.utils.data import DataLoader

from cast_mmaction.datasets import (AudioDecode, EpicKitchensDataset,
                                    ShardSampler, VideoInit)
from cast_mmaction.datasets.seeding import SampleIndex
from cast_mmaction.datasets.video import UnreadableVideo
from cast_mmaction.preparation import shards as module
from cast_mmaction.preparation.epic import clips_of
from cast_mmaction.preparation.shards import read_samples, write_shards
from cast_mmaction.storage import Store
from cast_mmaction.storage.addresses import member_of
from tests.decoders import DECODERS
from tests.test_preparation.test_prepare import tool

SHARDS = 6
PIPELINE = [
    dict(type='VideoInit'),
    dict(type='ClipSampleFrames', mode='dense', clip_len=4, frame_interval=2),
    dict(type='VideoDecode'),
    dict(type='RandomResizedCrop'),
    dict(type='Resize', scale=(32, 32), keep_ratio=False),
    dict(type='Flip', flip_ratio=0.5),
    dict(type='FormatShape', input_format='NCTHW'),
    dict(type='PackActionInputs'),
]


def lines(path):
    return path.read_text().splitlines()


def dataset(data, videos='shards', **init):
    name = 'list.txt' if videos == 'videos' else 'shards/train.txt'
    where = str(videos)
    return DATASETS.build(
        dict(type='VideoListDataset', ann_file=str(data / name),
             data_prefix=dict(
                 video=where if '://' in where else str(data / where)),
             num_classes=3,
             pipeline=[dict(PIPELINE[0], **init), *PIPELINE[1:]]))


def test_layout(data):
    found = {}
    for path in sorted((data / 'shards').glob('*.tar')):
        with tarfile.open(path) as archive:
            names = archive.getnames()
            # A video and then its note, under one key without points.
            for video, note in zip(names[::2], names[1::2]):
                key, suffix = video.split('.')
                assert note == f'{key}.json' and suffix == 'mp4'
                facts = json.load(archive.extractfile(note))
                found[facts['name']] = facts['label']
                assert archive.extractfile(video).read() == (
                    data / 'videos' / facts['name']).read_bytes()
    listed = [line.rpartition(' ') for line in lines(data / 'list.txt')]
    assert found == {name: int(label) for name, _, label in listed}
    assert len(list((data / 'shards').glob('*.tar'))) == SHARDS


@pytest.mark.parametrize('place', ['disk', 'http', 's3'])
@pytest.mark.parametrize('cached', [False, True])
def test_samples_are_those_of_the_files(data, place, cached, request,
                                        tmp_path, quick):
    init, where, server = {}, 'shards', None
    if place != 'disk':
        server = request.getfixturevalue(dict(http='web', s3='s3')[place])
        where = f'{server.address}/shards' if place == 'http' else (
            's3://bucket/shards')
    if cached:
        init['cache'] = dict(folder=str(tmp_path / 'cache'), gigabytes=1e-3)
    files, stored = dataset(data, 'videos'), dataset(data, where, **init)
    sizes = {(data / 'videos' / line.rpartition(' ')[0]).stat().st_size: x
             for x, line in enumerate(lines(data / 'list.txt'))}
    if server is not None:
        server.faults += [503, None, 503]
    for index in range(len(stored)):
        name = stored.get_data_info(index)['filename']
        same = sizes[member_of(name).size]
        a = stored[SampleIndex(index, 0, 1)]
        # Its draws are those of its place in the list.
        draws = SampleIndex(index, 0, 1).draws()
        b = _with_draws(files, same, draws)
        assert int(a['data_samples'].gt_label) == int(
            b['data_samples'].gt_label)
        np.testing.assert_array_equal(a['inputs'], b['inputs'])
    if cached and server is not None:  # each shard is fetched once
        asked = [path for path, _ in server.requests if path.endswith('.tar')]
        assert len(set(asked)) == SHARDS and len(asked) <= SHARDS + 2


def _with_draws(files, index, draws):

    class Fixed(SampleIndex):

        def draws(self, attempt=0):
            return draws

    return files[Fixed(index, 0, 1)]


@pytest.mark.parametrize('decoder', DECODERS)
def test_sound_comes_from_shards_too(data, decoder):
    address = lines(data / 'shards/train.txt')[0].rpartition(' ')[0]
    found = []
    path = str(data / 'shards' / address)
    name = lines_of_shards(data)[0]
    for place in (path, str(data / 'videos' / name)):
        # They sound for 0.2 s.
        results = VideoInit(decoder)(
            dict(filename=place, start_time=0., stop_time=0.2))
        results.update(num_clips=1, frame_inds=np.arange(2))
        results = AudioDecode(12, test_mode=True, min_share=0.5)(results)
        assert results['has_audio'].all(), results['missing_sound']
        found.append(results['audio'])
    assert torch.equal(*found)


def lines_of_shards(data):
    """The names of the videos in the order of the shards."""
    names = []
    for path in sorted((data / 'shards').glob('*.tar')):
        with tarfile.open(path) as archive:
            names += [json.load(archive.extractfile(x))['name']
                      for x in archive.getnames() if x.endswith('.json')]
    return names


def test_workers_and_persistence_do_not_matter(data):
    stored = dataset(data)
    expected = None
    for workers in (0, 2):
        sampler = ShardSampler(stored, seed=3)
        sampler.set_epoch(2)
        batches = list(
            DataLoader(stored, 2, sampler=sampler, num_workers=workers,
                       collate_fn=list))
        found = [x['inputs'] for batch in batches for x in batch]
        assert len(found) == 11
        if expected is None:
            expected = found
        for one, other in zip(found, expected):
            np.testing.assert_array_equal(one, other)


class Many:
    """A data set of 40 shards of other lengths."""
    names = [f'x-{shard:02d}.tar#{512 * i}+7/{i}.mp4' for shard in range(40)
             for i in range(5 + shard % 3)]

    def __len__(self):
        return len(self.names)

    def get_data_info(self, index):
        return dict(filename=self.names[index])


def shares(world, epoch=1, lanes=8, **kwargs):
    found = []
    for rank in range(world):
        sampler = ShardSampler(Many(), open_shards=lanes, seed=0, **kwargs)
        sampler.set_epoch(epoch)
        sampler.rank, sampler.world_size = rank, world
        sampler.num_samples = -(-len(Many()) // world)
        sampler.total_size = sampler.num_samples * world
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler)
    return found


def test_an_epoch_has_every_sample_once():
    whole, = shares(1)
    assert sorted(whole) == list(range(len(Many())))
    assert whole != shares(1, epoch=2)[0] and whole == shares(1)[0]
    assert {x.epoch for x in whole} == {1}
    plain = shares(1, shuffle=False)[0]
    assert plain == list(range(len(Many())))


@pytest.mark.parametrize('world', [2, 4, 8, 3])
def test_processes_have_equal_shares_of_one_order(world):
    whole, parts = shares(1)[0], shares(world)
    assert len({len(part) for part in parts}) == 1
    together = [x for row in zip(*parts) for x in row]
    # As resuming on other numbers of processes has it.
    assert together[:len(whole)] == whole
    assert together[len(whole):] == whole[:len(together) - len(whole)]


def test_few_shards_are_open_at_a_time():
    parts = shares(4)
    names = Many().names
    used = [{names[i].split('#')[0] for i in part[:-1]} for part in parts]
    # Shards at the ends of lanes have two readers.
    assert sum(map(len, used)) <= 40 + 8
    for part in parts:
        begun, ended = {}, {}
        for place, index in enumerate(part):
            shard = names[index].split('#')[0]
            begun.setdefault(shard, place)
            ended[shard] = place
        for place in range(len(part)):
            assert sum(begun[x] <= place <= ended[x] for x in begun) <= 2 + 1


def test_samplers_refuse_lists_of_files(data):
    with pytest.raises(ValueError, match='is in no shard.*EpochSampler'):
        ShardSampler(dataset(data, 'videos'), seed=0)
    with pytest.raises(ValueError, match='open_shards=0 must be positive'):
        ShardSampler(dataset(data), open_shards=0, seed=0)


@pytest.fixture
def own(data, tmp_path):
    shutil.copytree(data, tmp_path / 'own')
    return tmp_path / 'own'


def test_a_shard_that_ends_early_is_named(own, tmp_path):
    path = own / 'shards/train-000001.tar'
    path.write_bytes(path.read_bytes()[:-path.stat().st_size // 2])
    addresses = [line.rpartition(' ')[0]
                 for line in lines(own / 'shards/train.txt')]
    cut = [x for x in addresses if x.startswith('train-000001')]
    for cache in (None, dict(folder=str(tmp_path / 'cache'), gigabytes=1)):
        store, refused = Store(cache=cache), 0
        for address in addresses:
            try:
                store.read(str(own / 'shards' / address))
            except UnreadableVideo as error:
                assert address in cut and 'the shard ends before' in str(error)
                refused += 1
        assert 1 <= refused < len(cut)
    # Training takes other samples in its place, and says so.
    stored = dataset(own)
    index = addresses.index(cut[-1])
    sample = stored[SampleIndex(index, 0, 0)]['data_samples']
    assert 'train-000001.tar' in sample.replaces[0]


def test_shards_of_another_list_are_named(own, tmp_path):
    cache = dict(folder=str(tmp_path / 'cache'), gigabytes=1)
    address = lines(own / 'shards/train.txt')[1].rpartition(' ')[0]
    path = str(own / 'shards' / address)
    good = Store(cache=cache).read(path)
    whole = (own / 'shards/train-000000.tar').read_bytes()
    (own / 'shards/train-000000.tar').write_bytes(
        (own / 'shards/train-000001.tar').read_bytes())
    with pytest.raises(UnreadableVideo, match='the list is of other shards'):
        Store().read(path)
    # An old copy is not believed for ever.
    assert Store(cache=cache).read(path) == good
    kept = Store(cache=cache).cache.path(
        str(own / 'shards/train-000000.tar'))
    kept.write_bytes((own / 'shards/train-000001.tar').read_bytes())
    (own / 'shards/train-000000.tar').write_bytes(whole)
    assert Store(cache=cache).read(path) == good


def test_packing_goes_on_after_a_stop(own, monkeypatch, capsys):
    before = {x.name: x.read_bytes() for x in (own / 'shards').iterdir()}
    times = {x: x.stat().st_mtime_ns for x in (own / 'shards').glob('*.tar')}
    last = own / 'shards/train-000003.tar'
    last.write_bytes(last.read_bytes()[:700])
    (own / 'shards/train.txt').unlink()
    samples = read_samples(str(own / 'list.txt'), str(own / 'videos'))
    write_shards(samples, str(own / 'shards'), 'train',
                 megabytes=3.2 * samples[0].size / 1e6)
    assert '5 of 6 shards are there' in capsys.readouterr().out
    assert before == {x.name: x.read_bytes() for x in
                      (own / 'shards').iterdir()}
    del times[last]
    assert all(x.stat().st_mtime_ns == time for x, time in times.items())


def test_the_tool(own, monkeypatch, capsys):
    (own / 'val.txt').write_text((own / 'list.txt').read_text())
    tool.main(['shards', str(own / 'val.txt'), '--videos',
               str(own / 'videos'), '--out', str(own / 'new'),
               '--keep-order', '--shard-mb', '0.02'])
    stems = [line.split('/')[1].split('.mp4')[0][9:]
             for line in lines(own / 'new/val.txt')]
    assert stems == [f'clip_{x}' for x in range(11)]
    (own / 'list.txt').write_text('gone.mp4 0\n')
    with pytest.raises(SystemExit, match='line 1 .*gone.mp4 is missing or em'):
        tool.main(['shards', str(own / 'list.txt'), '--videos', str(own),
                   '--out', str(own / 'new')])
    monkeypatch.setattr(module.shutil, 'disk_usage',
                        lambda path: SimpleNamespace(free=1000))
    with pytest.raises(SystemExit, match='GB are free. Make room'):
        tool.main(['shards', str(own / 'val.txt'), '--videos',
                   str(own / 'videos'), '--out', str(own / 'other')])


def test_clips_of_epic_kitchens(own):
    (own / 'clips').mkdir()
    for number in range(3):
        shutil.copy(own / f'videos/a class/clip.{number}.mp4',
                    own / f'clips/P01_01_{number}.mp4')
    (own / 'rows.csv').write_text('narration_id,verb,noun\n' + ''.join(
        f'P01_01_{x},{x},{x}\n' for x in range(3)))
    write_shards(clips_of(str(own / 'rows.csv'), str(own / 'clips')),
                 str(own / 'ek'), 'rows')
    pipeline = [*PIPELINE[:-1], dict(type='PackVerbNounInputs')]
    found = EpicKitchensDataset(
        str(own / 'rows.csv'), pipeline, shards=str(own / 'ek/rows.txt'),
        data_prefix=dict(clips=str(own / 'ek')))
    assert [int(found[x]['data_samples'].gt_verb) for x in range(3)] == [
        0, 1, 2]
    assert sorted(ShardSampler(found, seed=0)) == [0, 1, 2]
    with pytest.raises(ValueError, match='hold clips, so data_prefix needs'):
        EpicKitchensDataset(
            str(own / 'rows.csv'), [], shards='x', data_prefix=dict(
                videos=str(own)))
