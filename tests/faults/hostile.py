"""Weights files made to harm whoever loads them."""
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, Tuple

import numpy as np
import torch
from safetensors.torch import save

HUGE = 10**12  # elements, or bytes
BOMB = 2**28  # bytes that a compressed file unpacks to
LEGACY_HEAD = b''.join(
    pickle.dumps(part, 2) for part in (
        0x1950a86a20f9469cfc6c, 1001,
        dict(protocol_version=1001, little_endian=True, type_sizes={})))


class Calls:
    """Becomes the result of a call when it is unpickled.

    Args:
        function: Whatever can be pickled by name.
        arguments: Of the call.
        state: What ``__setstate__`` of the result is given.
    """

    def __init__(self, function: Callable, *arguments, state=None) -> None:
        self.made = (function, arguments)
        if state is not None:
            self.made += (state, )

    def __reduce__(self) -> tuple:
        return self.made


def attacks(canary: Path) -> Dict[str, Any]:
    """Objects that make a folder when they are unpickled, in several ways."""
    code = f'__import__("os").mkdir({str(canary)!r})'
    return {
        'mkdir': Calls(os.mkdir, str(canary)),
        'eval': Calls(eval, code),
        'exec': Calls(exec, code),
        'torch.load': Calls(torch.storage._load_from_bytes,
                            pickle.dumps(Calls(os.mkdir, str(canary)))),
        'mmengine': Calls(_mmengine_call(), f'mkdir {canary}'),
        'in a dict': OrderedDict(a=[Calls(os.mkdir, str(canary))]),
    }


def _mmengine_call() -> Callable:
    from mmengine.utils.package_utils import call_command
    return call_command


def opcodes(canary: Path) -> Dict[str, bytes]:
    """Pickles that no pickler writes."""
    name = str(canary).encode()
    text = b'X' + struct.pack('<I', len(name)) + name
    return {
        'INST': b'(S' + repr(str(canary)).encode() + b'\nios\nmkdir\n.',
        'OBJ': b'(cos\nmkdir\n' + text + b'o.',
        'STACK_GLOBAL': b'\x80\x04\x8c\x02os\x8c\x05mkdir\x93' + text +
                        b'\x85R.',
        'EXT': b'\x80\x02\x82\x01.',
        'memo': b'\x80\x02]r' + struct.pack('<I', 2**31) + b'.',
        'long bytes': b'\x80\x04\x8e' + struct.pack('<Q', HUGE) + b'x.',
        'long text': b'\x80\x04\x8d' + struct.pack('<Q', HUGE) + b'x.',
        'frame': b'\x80\x04\x95' + struct.pack('<Q', HUGE) + b'].',
        'no stop': b'\x80\x02' + b']' * 1000,
        'deep': b'\x80\x02' + b']' * 10**4 + b'a' * (10**4 - 1) + b'.',
        'itself': b'\x80\x02]q\x00h\x00a.',
        'dict in itself': b'\x80\x02}q\x00X\x05\x00\x00\x00modelh\x00s.',
        'laughs': b'\x80\x02]' + b''.join(
            b'q%ch%ch%c\x86' % (i, i, i) for i in range(60)) + b'.',
        'bytearray': b'\x80\x02cbuiltins\nbytearray\n\x8a\x05' +
                     (16 * 2**30).to_bytes(5, 'little') + b'\x85R.',
        'big tensor': b'\x80\x02ctorch\nTensor\nJ@B\x0f\x00J@B\x0f\x00\x86R.',
        'builtin changed': b'\x80\x02ccollections\nOrderedDict\n)R}X\x05\x00'
                           b'\x00\x00itemsK\x01sb.',
    }


def contents(whole: Dict[str, Any]) -> Dict[str, Any]:
    """What is plain data, and still more than one can handle.

    Args:
        whole: A checkpoint that the loader takes; changed copies are made.
    """
    name, tensor = next(iter(whole['state_dict'].items()))

    def weights(**changed) -> Dict[str, Any]:
        return dict(whole, state_dict={**whole['state_dict'], **changed})

    one = torch.ones(1)
    itself: Dict[str, Any] = dict(whole)
    itself['model'] = itself['state_dict'] = itself
    deep: Any = []
    for _ in range(150):
        deep = [deep]
    laughs: Any = ('ha', )
    for _ in range(64):
        laughs = (laughs, laughs)
    return {
        'expanded': weights(**{name: one.expand(10**6, 10**6)}),
        'many views': weights(**{f'v{i}': one.expand(10**7)
                                 for i in range(100)}),
        'sparse': weights(**{name: torch.sparse_coo_tensor(
            [[0]], [1.], (HUGE, ))}),
        'meta': weights(**{name: torch.empty(10**6, 10**6, device='meta')}),
        'itself': itself,
        'deep': dict(whole, meta=dict(a=deep), state_dict=deep),
        'laughs': dict(whole, meta=laughs, model=laughs, state_dict=laughs),
        'long text': dict(state_dict={'x' * 10**6: 'y' * 10**6}),
        'long number': dict(whole, state_dict=dict(a=1 << 10**6)),
        'numbers as names': dict(whole, state_dict={1: tensor, None: tensor}),
        'no tensors': dict(whole, state_dict=dict(a='b', c=[1])),
        'a list': [1, 'two'],
        'a tensor': tensor,
        'nothing': None,
        'empty': {},
        'state dict is a list': dict(whole, state_dict=[tensor]),
        'state dict is text': dict(whole, state_dict='x'),
        'identity': weights(**{'frozen_identity': torch.ones(3)}),
        'foreign': dict(state_dict={'somewhere.weight': one}),
        'no shape': weights(**{name: torch.zeros(0)}),
    }


def states(whole: Dict[str, Any]) -> Dict[str, Any]:
    """Checkpoints that hold whole weights and nonsense for a resume."""
    meta, hub = whole.get('meta', {}), whole.get('message_hub', {})
    return {
        'meta is a list': dict(whole, meta=[1]),
        'epoch is text': dict(whole, meta=dict(meta, epoch='x', iter='y')),
        'seed is text': dict(whole, meta=dict(meta, seed='x')),
        'no meta': {k: v for k, v in whole.items() if k != 'meta'},
        'hub is text': dict(whole, message_hub='x'),
        'hub of lists': dict(whole, message_hub=dict(hub, log_scalars=[1])),
        'scalars are text': dict(
            whole, message_hub=dict(hub, log_scalars=dict(loss='x'))),
        'optimizer is text': dict(whole, optimizer='x'),
        'optimizer of another': dict(
            whole, optimizer=dict(state={}, param_groups=[])),
        'schedule is a number': dict(whole, param_schedulers=[7]),
    }


def configs(canary: Path) -> Dict[str, str]:
    """Texts in the place of a config."""
    mkdir = f'__import__("os").mkdir({str(canary)!r})'
    pipeline = 'test_dataloader = dict(dataset=dict(pipeline=[]))\n'
    return {
        'program': mkdir,
        'program in a value': f'model = dict(type={mkdir})\n{pipeline}',
        'custom_imports': 'custom_imports = dict(imports=["this"])\n'
                          f'model = dict(type="x")\n{pipeline}',
        'type': f'model = dict(type="os.mkdir", path={str(canary)!r})\n'
                f'{pipeline}',
        'command': 'model = dict(type="mmengine.utils.call_command", '
                   f'cmd="mkdir {canary}")\n{pipeline}',
        'scope': f'model = dict(type="x", _scope_="this")\n{pipeline}',
        'no dict': '[1, 2]',
        'number': '7',
        'deep': '[' * 10**5,
        'long': 'model = "' + 'x' * 10**7 + '"',
        'huge model': 'model = dict(type="Recognizer3D", backbone=dict('
                      'type="VideoMAEExpert", arch=dict(embed_dims=65536, '
                      'num_layers=60000, num_heads=1)), cls_head=dict('
                      'type="LinearHead", in_channels=65536, num_classes=1))'
                      f'\n{pipeline}',
        'huge number': 'model = dict(type="Recognizer3D", backbone=dict('
                       'type="VideoMAEExpert", num_frames=10**12))\n'
                       + pipeline,
        'base': f'_base_ = "/etc/passwd"\n{pipeline}',
    }


def headers() -> Dict[str, bytes]:
    """Safetensors files whose header lies."""

    def file(header: Any, data: bytes = bytes(8)) -> bytes:
        text = header if isinstance(header, bytes) else json.dumps(
            header).encode()
        return struct.pack('<Q', len(text)) + text + data

    def entry(begin: int, end: int, shape=(2, ), dtype='F32') -> dict:
        return dict(dtype=dtype, shape=list(shape), data_offsets=[begin, end])

    return {
        'length': struct.pack('<Q', 2**63 - 1) + b'{}',
        'length of memory': struct.pack('<Q', 90 * 2**20) + b'{}',
        'no length': b'\1\2',
        'no json': file(b'{"a": '),
        'deep json': file(b'[' * 10**5 + b']' * 10**5),
        'a list': file([1]),
        'overlap': file(dict(a=entry(0, 8), b=entry(0, 8))),
        'hole': file(dict(a=entry(0, 8), b=entry(16, 24)), bytes(24)),
        'negative': file(dict(a=entry(-8, 0))),
        'beyond': file(dict(a=entry(0, HUGE, (HUGE // 4, )))),
        'shape': file(dict(a=entry(0, 8, (HUGE, )))),
        'shape overflows': file(dict(a=entry(0, 8, (2**62, 2**62, 2)))),
        'dtype': file(dict(a=entry(0, 8, dtype='X99'))),
        'twice': file(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]'
                      b'},"a":{"dtype":"F32","shape":[1],"data_offsets":'
                      b'[4,8]}}'),
        'metadata': file(dict(__metadata__=dict(a=[1]), a=entry(0, 8))),
        'pickle': pickle.dumps(dict(a=1), 2),
    }


def _zipped(name: str, data: bytes, numel: int = 0) -> bytes:
    """A file of ``torch.save``, with ``data.pkl`` and one storage."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED, True, 1) as file:
        file.writestr(f'{name}/data.pkl', data)
        file.writestr(f'{name}/byteorder', 'little')
        if numel:
            file.writestr(f'{name}/data/0', bytes(numel))
        file.writestr(f'{name}/version', '3\n')
    return buffer.getvalue()


def _storage(numel: int, size: Tuple[int, ...], stride: Tuple[int, ...],
             offset: int = 0) -> bytes:
    """A pickle of ``{'state_dict': {'a': tensor}}`` over a storage."""

    class Storage:
        pass

    class Pickler(pickle.Pickler):

        def persistent_id(self, value):
            if isinstance(value, Storage):
                return 'storage', torch.FloatStorage, '0', 'cpu', numel
            return None

    buffer = io.BytesIO()
    tensor = Calls(torch._utils._rebuild_tensor_v2, Storage(), offset, size,
                   stride, False, OrderedDict())
    Pickler(buffer, 2).dump(dict(state_dict=dict(a=tensor)))
    return buffer.getvalue()


def archives() -> Dict[str, bytes]:
    """Zip files, and tensors over storages that are not what they say."""
    bomb = _zipped('x', _storage(BOMB // 4, (BOMB // 4, ), (1, )), BOMB)
    overlap = io.BytesIO()
    with zipfile.ZipFile(overlap, 'w') as file:
        file.writestr('x/data/0', bytes(2**20))
        for number in range(1, 300):
            file.filelist.append(_renamed(file.filelist[0], number))
        file.writestr('x/data.pkl', _storage(4, (4, ), (1, )))
        file.writestr('x/version', '3\n')
    tricks = {
        'stride': (1, (HUGE, ), (0, )),
        'storage': (HUGE, (HUGE, ), (1, )),
        'beyond': (4, (2**20, ), (1, )),
        'offset': (4, (1, ), (1, ), 2**40),
        'negative': (4, (-1, ), (1, )),
        'overflow': (4, (2**40, 2**40), (1, 1)),
    }
    made = {
        'bomb': bomb,
        'overlap': overlap.getvalue(),
        'no pickle': _zipped('x', b''),
        'two files': _zipped('x', b'\x80\x02}.')[:-1],
        'only a head': b'PK\3\4' + bytes(60),
    }
    for name, trick in tricks.items():
        data = _storage(*trick)
        made[f'{name}, zip'] = _zipped('x', data, 16)
        made[f'{name}, legacy'] = (
            LEGACY_HEAD + data + pickle.dumps(['0'], 2) +
            struct.pack('<Q', trick[0]) + bytes(16))
    return made


def _renamed(info: zipfile.ZipInfo, number: int) -> zipfile.ZipInfo:
    other = zipfile.ZipInfo(f'x/data/{number}')
    for name in ('CRC', 'compress_size', 'file_size', 'header_offset'):
        setattr(other, name, getattr(info, name))
    return other


def scripts(canary: Path) -> Dict[str, bytes]:
    """TorchScript: with code, and with another pickle in its place."""
    buffer = io.BytesIO()
    module = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
    torch.jit.save(module, buffer)
    made = {'code': buffer.getvalue()}
    for name, data in {**opcodes(canary), 'mkdir': pickle.dumps(
            Calls(os.mkdir, str(canary)), 2)}.items():
        changed = io.BytesIO()
        with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(
                changed, 'w') as target:
            for entry in source.namelist():
                whole = source.read(entry)
                target.writestr(
                    entry, data if entry.endswith('/data.pkl') else whole)
        made[name] = changed.getvalue()
    return made


def _legacy_tar(canary: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode='w') as file:
        for name in ('sys_info', 'pickle', 'storages', 'tensors'):
            data = pickle.dumps(Calls(os.mkdir, str(canary)), 2)
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def _saved(content: Any, zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


# Contents of this file that are data of a model's size: a loader may take
# from them what it asks for.
DATA = ('long text', 'numbers as names', 'no tensors', 'a list', 'a tensor',
        'nothing', 'empty', 'state dict is a list', 'state dict is text',
        'identity', 'foreign', 'no shape')


def family(whole: Dict[str, Any],
           canary: Path) -> Iterator[Tuple[str, bytes, bool]]:
    """Every file: its name, its bytes, and whether it is data all through.

    Args:
        whole: A checkpoint that the loader takes: ``state_dict``, and for a
            resume ``meta``, ``message_hub``, ``optimizer`` and more.
        canary: A folder that must never appear.

    Yields:
        The name says what is in it; its suffix is that of the format.
    """
    for name, attack in attacks(canary).items():
        for protocol in range(6):
            yield (f'{name}, pickle {protocol}.pth',
                   pickle.dumps(attack, protocol), False)
        for place in ('state_dict', 'meta', 'message_hub', 'optimizer'):
            bad = dict(whole, **{place: attack})
            yield f'{name} as {place}.pth', _saved(bad), False
        legacy = _saved(dict(whole, x=attack), False)
        yield f'{name}, legacy.pth', legacy, False
        yield f'{name}, renamed.safetensors', _saved(attack), False
    for name, data in opcodes(canary).items():
        yield f'{name}, pickle.pth', data, False
        yield f'{name}, zip.pth', _zipped('x', data), False
        legacy = LEGACY_HEAD + data + pickle.dumps([], 2)
        yield f'{name}, legacy.pth', legacy, False
    for name, content in {**contents(whole), **states(whole)}.items():
        data = name in DATA or name in states(whole)
        yield f'{name}, old.pth', _saved(content, False), data
        yield f'{name}.pth', _saved(content), data
    for name, text in configs(canary).items():
        meta = dict(whole.get('meta', {}), cfg=text, config=text)
        hub = dict(whole.get('message_hub', {}))
        hub['runtime_info'] = dict(hub.get('runtime_info', {}), cfg=text)
        checkpoint = _saved(dict(whole, meta=meta, message_hub=hub))
        yield f'config, {name}.pth', checkpoint, True
        tensors = save({'a': torch.ones(1)}, dict(config=text))
        yield f'config, {name}.safetensors', tensors, True
    for name, data in headers().items():
        yield f'{name}.safetensors', data, False
    for name, data in archives().items():
        yield f'{name}, archive.pth', data, False
    for name, data in scripts(canary).items():
        yield f'{name}, script.pth', data, name == 'code'
    yield 'tar.pth', _legacy_tar(canary), False
    yield 'no bytes.pth', b'', False
    yield 'html.pth', b'<html>404 Not Found</html>', False
    yield 'noise.pth', np.random.default_rng(0).bytes(4096), False
