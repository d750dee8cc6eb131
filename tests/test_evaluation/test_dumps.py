"""Dumps are read as data, in every form that the host writes."""
import json
import os
import pickle

import mmengine
import numpy as np
import pytest
import torch

from cast_mmaction.evaluation.dumps import (DumpPlainResults, read_samples,
                                            write_samples)
from cast_mmaction.evaluation.predictions import load_dump
from tests.test_evaluation.test_predictions import samples_of


class Attack:

    def __init__(self, victim) -> None:
        self.victim = str(victim)

    def __reduce__(self):
        return os.mkdir, (self.victim, )


SAMPLES = [
    dict(
        name=f'clip {i} \u00e9',
        pred_score=torch.rand(4).add(i),
        parts=(torch.arange(6).view(2, 3)[:, 1:], torch.zeros(0)),
        half=torch.ones(2, dtype=torch.bfloat16),
        label=np.int64(i),
        score=np.float32(0.25),
        table=np.arange(6., dtype='>f4').reshape(2, 3, order='F'),
        words=np.array(['a', 'bcd']),
        flags=np.array([True, False]),
        nothing=None,
        nested=dict(a=[1, 2.5, 'x', b'raw'])) for i in range(3)
]


def plain(value):
    """Arrays and tensors as lists, for comparison."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        return value.tolist()
    return value


@pytest.mark.parametrize('protocol', range(2, 6))
def test_what_the_host_dumps(tmp_path, protocol):
    path = tmp_path / 'dump.pkl'
    path.write_bytes(pickle.dumps(SAMPLES, protocol))
    assert plain(read_samples(str(path))) == plain(SAMPLES)


def test_both_files(tmp_path):
    samples = [dict(sample, nested=dict(a=[1, 2.5])) for sample in SAMPLES]
    write_samples(str(tmp_path / 'dump.pkl'), samples)
    for name in ('dump.pkl', 'dump.npz'):
        assert plain(read_samples(str(tmp_path / name))) == plain(samples)
    with np.load(tmp_path / 'dump.npz', allow_pickle=False) as file:
        assert file['<f4'].dtype == np.float32  # all of one type in one array


def test_scores_are_the_same_from_both(tmp_path):
    write_samples(str(tmp_path / 'dump.pkl'), samples_of(['a', 'b']))
    pkl, npz = (load_dump(str(tmp_path / f'dump.{x}')) for x in ('pkl', 'npz'))
    assert pkl.narration_ids == npz.narration_ids
    assert np.array_equal(pkl.noun, npz.noun)


def test_what_is_no_plain_data_has_no_second_file(tmp_path):
    path = tmp_path / 'dump.pkl'
    write_samples(str(path), [dict(sample=mmengine.Config(dict(a=1)))])
    assert not (tmp_path / 'dump.npz').exists()
    with pytest.raises(ValueError, match='dump.pkl.*mmengine.config.*Config'):
        read_samples(str(path))


def test_the_metric_of_a_test(tmp_path):
    metric = DumpPlainResults(str(tmp_path / 'dump.pkl'))
    metric.process({}, samples_of(['a', 'b']))
    metric.evaluate(2)
    assert sorted(os.listdir(tmp_path)) == ['dump.npz', 'dump.pkl']


def test_a_failed_dump_leaves_the_old_one(tmp_path):
    write_samples(str(tmp_path / 'dump.pkl'), [dict(a=1)])
    with pytest.raises((pickle.PicklingError, AttributeError)):
        write_samples(str(tmp_path / 'dump.pkl'), [dict(a=lambda: 1)])
    assert read_samples(str(tmp_path / 'dump.pkl')) == [dict(a=1)]


@pytest.mark.parametrize('protocol', range(6))
def test_a_dump_runs_nothing(tmp_path, protocol):
    victim, path = tmp_path / 'ran', tmp_path / 'dump.pkl'
    path.write_bytes(pickle.dumps([dict(a=Attack(victim))], protocol))
    with pytest.raises(ValueError, match='dump.pkl: .*posix.mkdir'):
        read_samples(str(path))
    inner = SAMPLES[0]['pred_score'].untyped_storage().__reduce__()[0]

    class Storage:  # what a tensor's storage is unpickled with

        def __reduce__(self):
            return inner, (pickle.dumps(Attack(victim), protocol), )

    path.write_bytes(pickle.dumps([dict(a=Storage())], protocol))
    with pytest.raises(ValueError, match='dump.pkl: '):
        read_samples(str(path))
    assert not victim.exists()


def test_objects_in_an_npz_are_refused(tmp_path):
    victim, path = tmp_path / 'ran', tmp_path / 'dump.npz'
    np.savez(path, layout=np.array(json.dumps([{}])),
             a=np.array([Attack(victim)], dtype=object))
    with pytest.raises(ValueError, match='dump.npz: .*allow_pickle'):
        read_samples(str(path))
    assert not victim.exists()


@pytest.mark.parametrize('lie', [
    dict(shape=(10**9, )), dict(dtype='V8'), dict(dtype='O'),
    dict(data=['x']), dict(fields=({'a': 1}, ))
])
def test_arrays_cannot_lie(tmp_path, lie):
    """A type or a shape that would make NumPy read beyond its memory."""

    class Made:

        def __init__(self, made) -> None:
            self.made = made

        def __reduce__(self):
            return self.made

    dtype = Made((np.dtype, (lie.get('dtype', 'f4'), ),
                  (3, '<', None, lie.get('fields'), None, -1, -1, 0)))
    array = Made((np.zeros(1).__reduce__()[0], (np.ndarray, (0, ), b'b'),
                  (1, lie.get('shape', (2, )), dtype, False,
                   lie.get('data', bytes(8)))))
    path = tmp_path / 'dump.pkl'
    path.write_bytes(pickle.dumps([dict(a=array)]))
    if 'fields' in lie:  # not heeded
        assert read_samples(str(path))[0]['a'].tolist() == [0, 0]
        return
    with pytest.raises(ValueError, match='dump.pkl: '):
        read_samples(str(path))


def test_functions_cannot_be_changed(tmp_path):
    data = (b'\x80\x02]}X\x01\x00\x00\x00acnumpy._core.multiarray\nscalar\n'
            b'N}X\x0c\x00\x00\x00__defaults__)s\x86bsa.')
    path = tmp_path / 'dump.pkl'
    path.write_bytes(data)
    with pytest.raises(ValueError, match='it changes a function'):
        read_samples(str(path))


@pytest.mark.parametrize('content', [7, [], [1], {}, 'x'])
def test_other_content(tmp_path, content):
    mmengine.dump(content, str(tmp_path / 'dump.pkl'))
    with pytest.raises(ValueError, match='dump.pkl: .*no list of samples'):
        read_samples(str(tmp_path / 'dump.pkl'))


def test_a_dump_that_could_not_be_written_is_refused_at_once(tmp_path):
    (tmp_path / 'file').write_text('x')
    with pytest.raises(OSError, match='file'):
        DumpPlainResults(str(tmp_path / 'file/out.pkl'))
