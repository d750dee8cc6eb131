"""A training from shards in an object store: stopped, resumed, the same."""
import pytest
import torch
from mmaction.registry import DATASETS

from cast_mmaction.preparation.shards import Sample, write_shards
from cast_mmaction.storage import Store, StoreError
from tests.test_engine.test_resume import OTHER_BATCHES, train
from tests.toy import SAMPLES, ToyDataset, assert_same, weights


@DATASETS.register_module()
class StoredToyDataset(ToyDataset):
    """The toy's numbers, read from shards."""

    def __init__(self, addresses, where):
        super().__init__()
        with open(addresses) as file:
            names = [line.rpartition(' ')[0] for line in file]
        self.names = [f'{where}/{name}' for name in names]
        self.store = Store(retries=1)

    def get_data_info(self, index):
        return dict(filename=self.names[index])

    def __getitem__(self, index):
        number = int(self.store.read(self.names[index]))
        return super().__getitem__(number)


@pytest.fixture
def options(tmp_path, s3, moto, quick):
    boto3 = pytest.importorskip('boto3', reason='boto3 is not installed')
    samples = []
    for number in range(SAMPLES):
        path = tmp_path / f'{number}.mp4'
        path.write_text(f'{number:03d}')
        samples.append(Sample(path.name, '0', str(path), 3))
    listing = write_shards(samples, str(tmp_path / 'toy'), 'toy', 0.01)
    client = boto3.client('s3', endpoint_url=f'http://{moto}')
    for path in (tmp_path / 'toy').glob('*.tar'):
        client.upload_file(str(path), 'bucket', f'toy/{path.name}')
    return {
        'train_dataloader.dataset': dict(
            type='StoredToyDataset', addresses=listing,
            where='s3://bucket/toy'),
        'train_dataloader.sampler': dict(
            type='ShardSampler', open_shards=2, shuffle=True),
        'custom_imports.imports': [
            'cast_mmaction', 'tests.toy', 'tests.test_storage.test_training'
        ],
    }


def test_resumes_in_the_middle_of_an_epoch(tmp_path, options, s3):
    whole, _ = train(tmp_path / 'whole', **options)
    assert len(whole) == 3 * SAMPLES
    # Among them answers that another attempt mends.
    s3.faults += [None, 503, None, 500]
    first, _ = train(tmp_path / 'part', stop_at=7, **options)
    assert SAMPLES < len(first) < 2 * SAMPLES
    then, _ = train(tmp_path / 'part', batch=2, resume=True, **OTHER_BATCHES,
                    **options)
    assert first + then == whole
    assert_same(weights(tmp_path / 'whole/epoch_3.pth'),
                weights(tmp_path / 'part/epoch_3.pth'), rtol=1e-5, atol=1e-6)


def test_a_store_that_goes_ends_a_training_that_resumes(tmp_path, options,
                                                        s3):
    whole, _ = train(tmp_path / 'whole', **options)
    s3.faults += [None] * 40 + [403]
    with pytest.raises(StoreError, match='the store refuses'):
        train(tmp_path / 'part', **options)
    then, _ = train(tmp_path / 'part', resume=True, **options)
    assert 0 < len(then) < len(whole) and whole[-len(then):] == then
    assert_same(weights(tmp_path / 'whole/epoch_3.pth'),
                weights(tmp_path / 'part/epoch_3.pth'))
    assert torch.isfinite(torch.tensor(then)).all()
