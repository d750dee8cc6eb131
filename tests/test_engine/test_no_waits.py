"""Between two lines of the log no training step waits for its device, but
for what the step before has found."""
from contextlib import ExitStack
from types import SimpleNamespace
from unittest.mock import MagicMock, patch

import pytest
import torch
from mmaction.registry import DATASETS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.config import Config
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from cast_mmaction.engine.non_finite import NonFiniteHook
from cast_mmaction.models.attention import eager_kernel, use_kernel
from cast_mmaction.spectrograms.fbank import mel_filters
from cast_mmaction.spectrograms.form import Spectrograms
from cast_mmaction.spectrograms.resampling import ffmpegs_filter
from tests.toy import ROOT, toy_config

EXPERT = dict(
    arch=dict(embed_dims=24, num_layers=2, num_heads=2),
    img_size=32,
    num_frames=4)
TINY = dict(EXPERT, type='CLIPExpert')
CAST = dict(
    type='CAST', spatial=TINY, temporal=dict(EXPERT, type='VideoMAEExpert'))
MIXUP = dict(type='MixupBlending', alpha=.8)
ONE_LABEL = dict(
    type='RandomBatchAugment', augments=dict(MIXUP, num_classes=4))
TWO_LABELS = dict(
    type='VerbNounBlending', augment=MIXUP, num_verbs=3, num_nouns=4)
LINEAR = dict(type='LinearHead', in_channels=24, num_classes=4)
VERB_NOUN = dict(
    type='VerbNounHead', in_channels=24, num_verbs=3, num_nouns=4)
MODEL_CASES = {
    'cast': (CAST, dict(LINEAR, type='CASTHead', label_smooth_eps=.1), None),
    'cast, mixup': (CAST, dict(LINEAR, type='CASTHead'), ONE_LABEL),
    'cast, two labels': (CAST, VERB_NOUN, None),
    'cast, two labels, mixup': (CAST, VERB_NOUN, TWO_LABELS),
    'aim': (dict(EXPERT, type='AIM'), LINEAR, None),
    'evl': (dict(EXPERT, type='EVL', num_decoder_layers=1), LINEAR, None),
    'st_adapter': (dict(EXPERT, type='STAdapter', adapter_dims=8), LINEAR,
                   None),
    'timesformer': (dict(EXPERT, type='SpaceTimeViT', scheme='divided'),
                    LINEAR, None),
}


def recognizer(backbone, head, blending):
    return dict(
        type='Recognizer3D',
        data_preprocessor=dict(
            type='ActionDataPreprocessor',
            mean=[123.675, 116.28, 103.53],
            std=[58.395, 57.12, 57.375],
            blending=blending,
            format_shape='NCTHW'),
        backbone=backbone,
        cls_head=head)


@DATASETS.register_module()
class MadeUpClips(torch.utils.data.Dataset):
    """16 clips of noise, with one label and with two."""

    def __len__(self):
        return 32

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        clip = torch.randint(
            0, 256, (1, 3, 4, 32, 32), dtype=torch.uint8, generator=generator)
        sample = ActionDataSample().set_gt_label(index % 4)
        sample.set_field(torch.tensor([index % 3]), 'gt_verb')
        sample.set_field(torch.tensor([index % 4]), 'gt_noun')
        return dict(inputs=clip, data_samples=sample)


# what a real training does, in Python


class Reads(TorchFunctionMode):
    """Collects what would make the host wait for a device."""

    NAMES = {
        'item', 'tolist', 'numpy', 'cpu', '__bool__', '__float__', '__int__',
        '__index__', '__array__', '__contains__', 'is_nonzero', 'nonzero',
        'equal', 'allclose', 'unique', 'masked_select', 'argwhere', 'cuda'
    }
    # No functions of tensors.
    OWNERS = (torch.cuda, torch.cuda.Event, torch.cuda.Stream,
              torch.accelerator)

    def __init__(self):
        super().__init__()
        self.found = []
        self._patches = ExitStack()

    def __enter__(self):
        for owner in self.OWNERS:
            self._patches.enter_context(
                patch.object(owner, 'synchronize', self._counted(owner)))
        return super().__enter__()

    def __exit__(self, *error):
        self._patches.close()
        return super().__exit__(*error)

    def _counted(self, owner):
        original = owner.synchronize
        name = owner.__name__.removeprefix('torch.') + '.synchronize'

        def synchronize(*args, **kwargs):
            self.found.append(name)
            if torch.cuda.is_available():
                original(*args, **kwargs)

        return synchronize

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(function, '__name__', str(function))
        if name in self.NAMES:
            self.found.append(name)
        # By name: the device of another tensor is a CPU only here.
        named = {x for x in (*args[1:], *kwargs.values())
                 if isinstance(x, str)}
        if name == 'to' and 'cpu' in named:
            self.found.append("to('cpu')")
        return function(*args, **kwargs)


class Arrival:
    """The event that a verdict waits for, also where there is no GPU.

    Args:
        runner: Of the training.
        event: The real one, None without a GPU.
    """

    def __init__(self, runner, event):
        self.runner = runner
        self.event = event or MagicMock()
        self.found = []
        self._wait = self.event.synchronize  # not the one that counts

    def record(self):
        self.sent = self.runner.iter
        self.event.record()

    def synchronize(self):
        age = self.runner.iter - self.sent
        self.found.append(f'verdict of {age} iterations ago')
        self._wait()


def training_config(work_dir, case, **changes):
    backbone, head, blending = MODEL_CASES[case]
    cfg = toy_config(work_dir, epochs=1)
    model = recognizer(backbone, head, blending)
    loader = dict(
        batch_size=2,
        num_workers=0,
        dataset=dict(type='MadeUpClips'),
        sampler=dict(type='DefaultSampler', shuffle=True))
    cfg.model, cfg.train_dataloader = model, loader
    for key in ('dataloader', 'evaluator', 'cfg'):
        cfg[f'val_{key}'] = cfg[f'test_{key}'] = None
    cfg.default_hooks.checkpoint.save_best = None
    cfg.default_hooks.strict_load.allow_random_experts = True
    cfg.merge_from_dict({
        'default_hooks.logger.interval': 8,
        'optim_wrapper.optimizer.fused': True,  # as on a GPU
        'optim_wrapper.clip_grad': dict(max_norm=1.),
        **changes
    })
    cfg.param_scheduler[0].warmup = 0
    return cfg


def training(work_dir, case, **changes):
    return Runner.from_cfg(training_config(work_dir, case, **changes))


def count_reads(runner, age=1):
    """What each iteration reads, from its batch to its last hook, but for
    the verdict of the optimizer step so many iterations ago."""
    found, loop = {}, runner.train_loop
    run_iter = loop.run_iter

    def counted(index, batch):
        agreement = runner.agreement
        if index == 0:
            agreement._arrived = Arrival(runner, agreement._arrived)
        arrival = agreement._arrived
        arrival.found.clear()
        with Reads() as reads:
            run_iter(index, batch)
        if arrival.found == [f'verdict of {age} iterations ago']:
            arrival.found.clear()
        found[index] = reads.found + arrival.found

    loop.run_iter = counted
    runner.train()
    return found


@pytest.mark.parametrize('case', ['cast, mixup', 'cast, two labels', 'evl'])
def test_an_iteration_reads_nothing(tmp_path, case):
    """From the device; only those with a line of the log do."""
    found = count_reads(training(tmp_path, case))
    assert len(found) == 16
    logged = {7, 15}
    assert all(found[i] for i in logged)
    assert not any(x for i, x in found.items() if i not in logged), found


def test_nor_with_accumulation(tmp_path):
    found = count_reads(
        training(tmp_path, 'cast',
                 **{'optim_wrapper.accumulative_counts': 4}), 4)
    assert not any(x for i, x in found.items() if i not in (7, 15)), found


@pytest.mark.parametrize('fused', [False, True])
def test_an_optimizer_waits_for_a_verdict(tmp_path, fused):
    """For that of the step before if it can be held back on the device."""
    found = count_reads(
        training(tmp_path, 'evl',
                 **{'optim_wrapper.optimizer.fused': fused}), None)
    # What else is read of an optimizer that is not fused, it keeps on the CPU.
    waits = [[y for y in x if y != 'item'] for x in found.values()]
    first, *waits = waits[:7]  # before a line of the log
    assert first == ([] if fused else ['verdict of 0 iterations ago'])
    assert waits == [[f'verdict of {int(fused)} iterations ago']] * 6


WAITS = {
    'item': lambda x: x.item(),
    'cpu': lambda x: x.cpu(),
    "to('cpu')": lambda x: x.to('cpu', torch.float64),
    "to('cpu') by name": lambda x: x.to(device='cpu'),
    'cuda.synchronize': lambda x: torch.cuda.synchronize(),
    'accelerator.synchronize': lambda x: torch.accelerator.synchronize(),
    'Event.synchronize': lambda x: made(torch.cuda.Event).synchronize(),
    'Stream.synchronize': lambda x: made(torch.cuda.Stream).synchronize(),
}


def made(cls):
    """An object of what only a GPU has; without one, its class."""
    return cls() if torch.cuda.is_available() else cls


@pytest.mark.parametrize('name', WAITS)
def test_the_count_finds(name):
    before = torch.cuda.Event.synchronize, torch.cuda.synchronize
    with Reads() as reads:
        WAITS[name](torch.ones(1))
    assert reads.found == [name.partition(' ')[0]]
    assert before == (torch.cuda.Event.synchronize, torch.cuda.synchronize)


def test_the_count_finds_a_read(tmp_path):
    """The log as MMEngine keeps it."""
    runner = training(tmp_path, 'cast')
    hook = next(x for x in runner.hooks
                if type(x).__name__ == 'RuntimeInfoHook')
    after = hook.after_train_iter
    hook.after_train_iter = lambda runner, outputs, **kwargs: [
        x.item() for x in outputs.values()
    ] and after(runner, outputs=outputs, **kwargs)
    found = count_reads(runner)
    assert all('item' in x for x in found.values())


# what torch does with it, on a device that is pretended

pretended = pytest.mark.skipif(
    torch.cuda.is_available(), reason='a real GPU is there')


class Transfers(TorchDispatchMode):
    """Collects what crosses between host and device, and whether it waits."""

    def __init__(self):
        super().__init__()
        self.asynchronous, self.waits, self.dtypes = 0, [], set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.name().split('::')[1].split('.')[0]
        result = function(*args, **kwargs)
        if name in ('_local_scalar_dense', 'nonzero', 'equal'):
            self.waits.append(name)
        if name in ('mm', 'addmm'):
            self.dtypes.add(result.dtype)
        if name in ('_to_copy', 'copy_'):
            source = args[name == 'copy_']
            quick = kwargs.get('non_blocking') or (name == 'copy_' and args[2:]
                                                   and args[2])
            if source.device.type != result.device.type:
                self.asynchronous += bool(quick)
                if not quick or result.device.type == 'cpu':
                    how = 'asynchronous ' if quick else ''
                    self.waits.append(f'{how}{name} to {result.device}')
        return result


def pretend(model, mode, device):
    """Move a model to where nothing is computed."""
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            for name, value in store.items():
                if value is None:
                    continue
                moved = mode.from_tensor(value.detach()).to(device)
                if store is module._parameters:
                    moved = torch.nn.Parameter(moved, value.requires_grad)
                store[name] = moved
    model._set_device(torch.device(device))


def patches(device, trained):
    """What asks for a GPU, or for numbers, before a training can start."""
    yield patch('torch.cuda.amp.common.amp_definitely_not_available',
                lambda: False)
    yield patch('torch.cuda.is_bf16_supported', lambda *args: True)
    yield patch.object(amp_optimizer_wrapper, 'is_cuda_available',
                       lambda: True)
    if device == 'cuda':
        # The kernels, and autograd's threads, are those of a real one.
        yield use_kernel(eager_kernel)

        def backward(loss, **kwargs):
            for parameter in trained:
                parameter.grad = torch.ones_like(parameter)

        yield patch.object(torch.Tensor, 'backward', backward)


def step(model, batch, device='cuda', dtype='float16'):
    """Batch to loss, verdict, clipping and step.

    Fake tensors refuse to be read. A pretended GPU shows what crosses; on a
    pretended CPU there is a backward pass.
    """
    mode = FakeTensorMode(allow_non_fake_inputs=True)
    with mode:
        pretend(model, mode, device)
    trained = [p for p in model.parameters() if p.requires_grad]
    half = dtype != 'float32'
    with ExitStack() as stack:
        for context in (mode, *patches(device, trained)):
            stack.enter_context(context)
        options = dict(
            optimizer=torch.optim.AdamW(trained, fused=True),
            clip_grad=dict(max_norm=1.))
        wrapper = AmpOptimWrapper(dtype=dtype, **options) if half else \
            OptimWrapper(**options)
        runner = SimpleNamespace(
            model=model, optim_wrapper=wrapper, epoch=0, iter=0)
        with patch.object(torch.Tensor, 'numpy', lambda x: [0.] * len(x)), \
                patch('torch.cuda.Event', MagicMock):
            NonFiniteHook().before_train(runner)
        transfers = stack.enter_context(Transfers())
        data = model.data_preprocessor(batch, training=True)
        with torch.autocast(device, getattr(torch, dtype), enabled=half):
            loss, _ = model.parse_losses(model._run_forward(data, mode='loss'))
        assert loss.device.type == device
        wrapper.update_params(loss)
        runner.agreement.settle()  # as the next step does
    assert runner.agreement.gated
    assert wrapper.optimizer.state.keys() == {*trained}  # all had gradients
    assert getattr(torch, dtype) in transfers.dtypes
    verdict = ['asynchronous copy_ to cpu'] if device == 'cuda' else []
    assert transfers.waits == verdict
    return transfers.asynchronous - len(verdict)


def batch_of(count):
    samples = [MadeUpClips()[i] for i in range(count)]
    return {key: [x[key] for x in samples] for key in samples[0]}


PRECISIONS = [('cast', 'float32'), ('cast', 'bfloat16'),
              *((case, 'float16') for case in MODEL_CASES)]


@pretended
@pytest.mark.parametrize('case, dtype', PRECISIONS)
def test_a_step_only_sends(case, dtype):
    model = MODELS.build(recognizer(*MODEL_CASES[case])).train()
    # Two clips, their labels.
    assert step(model, batch_of(2), dtype=dtype) >= 4


@pretended
@pytest.mark.parametrize('case, dtype', PRECISIONS)
def test_a_backward_pass_reads_nothing(case, dtype):
    model = MODELS.build(recognizer(*MODEL_CASES[case])).train()
    step(model, batch_of(2), 'cpu', dtype)


@pretended
def test_a_head_of_the_host_only_sends():
    head = dict(
        type='I3DHead', in_channels=48, num_classes=4, dropout_ratio=0.)
    backbone = dict(CAST, out_layout='map')
    model = MODELS.build(recognizer(backbone, head, None)).train()
    assert step(model, batch_of(2)) >= 4


@pytest.fixture
def fresh_tables():
    """Those of pretended devices are not real, and must not be kept."""
    yield
    mel_filters.cache_clear()
    ffmpegs_filter.cache_clear()


def sound_batch(**inputs):
    """Two clips whose sound `AudioDecode` has left as it is, one mute."""
    form = Spectrograms(96, 32, 16000, (0, ), 44100, 15600, 100, 15000,
                        ((-2, 10, 5, 0.), (-1, 3, 4, 0.)))
    samples = []
    for i in range(2):
        sample = ActionDataSample(metainfo=dict(sound=form._asdict()))
        for task in ('verb', 'noun'):
            sample.set_field(torch.tensor([i]), f'gt_{task}')
        samples.append(sample)
    inputs['audio'] = [torch.randn(44762) for _ in range(2)]
    return dict(inputs=inputs, data_samples=samples)


@pretended
@pytest.mark.parametrize('name', ['ca2st_demo', 'sound/audio'])
def test_a_step_with_sound_only_sends(name, fresh_tables):
    cfg = Config.fromfile(ROOT / f'configs/demo/{name}.py')
    backbone = cfg.model.backbone
    experts = backbone.get('experts') or dict(audio=backbone.expert)
    for expert in experts.values():
        expert.pretrained = None
    batch = sound_batch()
    if 'experts' in backbone:
        clip_len = cfg.train_dataloader.dataset.pipeline[1].clip_len
        clip = torch.zeros(1, 3, clip_len, 40, 40, dtype=torch.uint8)
        batch = sound_batch(
            imgs=[clip, clip],
            has_audio=[torch.tensor([True]), torch.tensor([False])])
    # Two sounds, the tables of filter and bands, two labels of two samples.
    assert step(MODELS.build(cfg.model).train(), batch) >= 8


# on a real one


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a GPU to wait for')
@pytest.mark.parametrize('case', ['cast, mixup', 'aim'])
@pytest.mark.parametrize('dtype', ['float32', 'bfloat16', 'float16'])
def test_cuda_agrees(tmp_path, case, dtype):
    """Ten iterations while torch refuses to wait."""
    changes = {}
    if dtype != 'float32':
        changes = {
            'optim_wrapper.type': 'AmpOptimWrapper',
            'optim_wrapper.dtype': dtype,
            # From which no step is skipped, which the log would tell.
            'optim_wrapper.loss_scale': dict(init_scale=256.)
        }
    runner = training(
        tmp_path, case, **{
            'default_hooks.logger.interval': 100,
            'train_dataloader.pin_memory': True,
            'train_dataloader.num_workers': 1,
            **changes
        })
    loop = runner.train_loop
    run_iter = loop.run_iter

    def strict(index, batch):
        torch.cuda.set_sync_debug_mode('error' if 2 <= index < 12 else 0)
        try:
            run_iter(index, batch)
        finally:
            torch.cuda.set_sync_debug_mode(0)

    loop.run_iter = strict
    runner.train()
    assert runner.iter == 16
