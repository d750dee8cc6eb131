"""What README and docs ask a reader to type works."""
import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from tests.toy import ROOT

from . import pages, typed

PAGES = pages.pages()
COPIED = ('configs', 'docs', 'tools', 'setup.cfg', 'README.md',
          'model-index.yml')
# What the quickstart makes: clips (fewer), experts (at random), a CAST.
DATA = '''
import csv, sys
from pathlib import Path
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope

sys.path.insert(0, 'tools/demo')
import make_clips, shapes

folder = Path('data/demo')
(folder / 'clips').mkdir(parents=True)
make_clips.write_classes(folder / 'verb_classes.csv', shapes.VERBS)
make_clips.write_classes(folder / 'noun_classes.csv', shapes.NOUNS)
for split, count in (('train', 16), ('test', 8)):
    task = folder / 'clips', split, 0, range(count)
    with open(folder / f'{split}.csv', 'w', newline='') as file:
        csv.writer(file).writerows([
            ('narration_id', 'verb', 'noun'),
            *make_clips.write_silent_block(task)])

init_default_scope('mmaction')
backbone = Config.fromfile('configs/cast_demo.py').model.backbone
for name in ('spatial', 'temporal'):
    path = Path(backbone[name].pop('pretrained'))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(MODELS.build(backbone[name]).state_dict(), path)
'''
TRAIN = 'tools/dist_train.sh configs/cast_demo.py 1'


class Shell:
    """A folder like a clone of the project after the quickstart, in small.

    Args:
        folder: The folder.
        commands: Where the commands are that ask the server.
    """

    def __init__(self, folder: Path, commands: Path) -> None:
        self.folder = folder
        inherited = ('HOME', 'LANG', 'TMPDIR', 'LD_LIBRARY_PATH')
        self.environment = {k: os.environ[k] for k in inherited
                            if k in os.environ}
        self.environment.update(
            PATH=f'{commands}:/usr/local/bin:/usr/bin:/bin',
            OMP_NUM_THREADS='1',
            CUDA_VISIBLE_DEVICES='',
            HF_HUB_OFFLINE='1',
            PYTHONPATH=str(ROOT))

    def run(self, text: str, language: str = 'bash') -> str:
        """What it prints.

        Raises:
            AssertionError: With that, if it fails.
        """
        command = ['python', '-'] if language == 'python' else [
            'bash', '-euo', 'pipefail', '-c', text]
        command[0] = shutil.which(command[0], path=self.environment['PATH'])
        done = subprocess.run(
            command,
            input=text if language == 'python' else '',
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600)
        assert done.returncode == 0, f'{text}\n{done.stdout[-6000:]}'
        return done.stdout


def write_videos(folder: Path) -> None:
    """Two classes of four clips, and one more beside them."""
    rng = np.random.RandomState(0)
    names = [f'{label}/{i}.mp4' for label in ('cut', 'wash') for i in range(4)]
    for name in [*names, '../video.mp4']:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(file), 'w') as container:
            stream = container.add_stream('mpeg4', rate=8)
            stream.width, stream.height = 64, 48
            for _ in range(16):
                frame = rng.randint(0, 255, (48, 64, 3), np.uint8)
                container.mux(
                    stream.encode(av.VideoFrame.from_ndarray(frame, 'rgb24')))
            container.mux(stream.encode())


@pytest.fixture(scope='module')
def clone(tmp_path_factory, commands):
    """A clone in which the quickstart has run, with few clips and steps."""
    folder = tmp_path_factory.mktemp('clone')
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(
            source, folder / name)
    recipe = folder / 'configs/demo/cast_demo.py'
    recipe.write_text(recipe.read_text().replace('warmup=50', 'warmup=1'))
    write_videos(folder / 'my_videos')
    shell = Shell(folder, commands)
    shell.run(DATA, 'python')
    shell.run(TRAIN)
    return folder


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_all_blocks_are_run(page):
    assert not pages.complaints(page), '\n'.join(pages.complaints(page))


def build_config(shell: Shell, block: pages.Block) -> None:
    """Lay a part of a config over a whole one, and build its model."""
    base = Path(block.words)
    (shell.folder / base).with_name('part.py').write_text(
        f"_base_ = './{base.name}'\n{block.text}")
    shell.run('from cast_mmaction.config_names import read_config\n'
              'from mmaction.registry import MODELS\n'
              'from mmengine.registry import init_default_scope\n'
              "init_default_scope('mmaction')\n"
              f"cfg = read_config('{base.with_name('part.py')}')\n"
              'MODELS.build(cfg.model)\n', 'python')


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_the_blocks(page, clone, commands, tmp_path):
    todo = [b for b in pages.blocks(page)
            if b.kind == 'file'
            or b.language in pages.RUN and b.kind != 'skip']
    if not todo:
        return
    shutil.copytree(clone, tmp_path / 'clone')
    shell = Shell(tmp_path / 'clone', commands)
    for block in todo:
        try:
            if block.kind == 'file':
                file = shell.folder / block.words
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(block.text)
            elif block.kind == 'config':
                build_config(shell, block)
            else:
                shell.run(block.typed(), block.language)
        except AssertionError as error:
            raise AssertionError(f'{block.place}: {error}') from None


@pytest.mark.parametrize(
    'page', [*PAGES, *pages.readmes()],
    ids=lambda page: str(page.relative_to(ROOT)))
def test_all_commands_are_understood(page):
    """Also those that take too long to be run."""
    found = filter(None, map(typed.complaint, typed.commands(page)))
    assert not '\n'.join(found)


def test_the_commands_are_found():
    shown = {c.tool for page in PAGES for c in typed.commands(page)}
    assert {'tools/train.py', 'tools/dist_train.sh', 'tools/predict.py',
            'tools/data/prepare.py', 'tools/benchmarks/gpu.sh'} <= shown
    assert all(
        {'tools/dist_train.sh', 'tools/quickstart.sh'}
        & {c.tool for c in typed.commands(page)}
        for page in pages.readmes() if page.parent != ROOT / 'configs')


@pytest.mark.parametrize('text, words', [
    ('python tools/trian.py x.py', 'there is no tools/trian.py'),
    ('bash tools/dist_train.sh configs/none.py 8', 'no configs/none.py'),
    ('bash tools/dist_train.sh configs/cast_k400.py 8 --apm', '--apm'),
    ('x=configs/cast_k400.py; tools/dist_test.sh $x a.pth 8 --dumb', '--dumb'),
    ('cd a && cast-predict a.mp4 \\\n    --tops 5 | tail', '--tops 5'),
    ('bash tools/evidence/evidence.sh peers --profile none', 'none'),
])
def test_a_wrong_command_is_found(tmp_path, text, words):
    page = tmp_path / 'page.md'
    page.write_text(f'```bash\n{text}\n```\n')
    command, = typed.commands(page)
    assert words in typed.complaint(command)


def test_python_in_the_readmes_of_the_configs():
    found = [x for page in pages.readmes() for x in pages.blocks(page)
             if x.language == 'python']
    assert found
    for block in found:
        compile(block.text, block.place, 'exec')


def test_files_that_are_named():
    # The changelog names what was before.
    now = [page for page in PAGES if page.stem != 'changelog']
    for page in [*now, *pages.readmes()]:
        named = re.findall(r'(?<![\w/.:])(?:configs|tools|tests|docs)/'
                           r'[\w./-]+\.(?:py|sh|md|yml|json)\b',
                           page.read_text())
        for name in named:
            # NAME stands for one that the reader chooses.
            assert Path(name).stem.isupper() or (
                ROOT / name).is_file(), f'{page.name}: {name}'


def literals() -> str:
    """All texts in the code, a line each."""
    texts = []
    files = [*(ROOT / 'cast_mmaction').rglob('*.py'),
             *(ROOT / 'tools').rglob('*.py'), *(ROOT / 'tools').glob('*.sh')]
    for file in files:
        if file.suffix == '.sh':
            texts.append(re.sub(r'\$\{?\w+\}?', '\n', file.read_text()))
            continue
        texts += [
            node.value for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    return '\n'.join(texts)


def test_messages_are_those_of_the_code():
    known = literals()
    for block in pages.blocks(ROOT / 'docs/faq.md'):
        if block.language != 'text' or block.kind == 'of':
            continue
        for part in re.split(r'\.{3}', ' '.join(block.text.split())):
            # What stands between two values; a value may be a text as well.
            assert part in known or all(
                x.strip() in known for x in part.split(',')
            ), f'{block.place}: {part!r}'
