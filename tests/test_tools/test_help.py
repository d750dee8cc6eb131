"""Every tool says at once what it does, and what is wrong with an option."""
import argparse
import json
import os
import subprocess
import sys

import pytest

from tests.toy import ROOT, load_tool

TOOLS = sorted(
    path for path in (ROOT / 'tools').rglob('*.py')
    if "if __name__ == '__main__':" in path.read_text())
# Its options are torchrun's own; dist_train.sh and others call it.
WAITS = 'launch'
# Runs tools one after the other: all in one process, as they import little.
SCRIPT = '''
import contextlib, io, json, runpy, sys
words = json.load(sys.stdin)
alone, found = list(sys.path), {}
for path, options in words:
    out, err = io.StringIO(), io.StringIO()
    sys.argv = [path, *options]
    sys.path[:] = [path.rpartition('/')[0], *alone]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            runpy.run_path(path, run_name='__main__')
            code = 0
        except SystemExit as end:
            code = end.code
        except Exception as error:
            code = repr(error)
    heavy = [x for x in ('torch', 'mmengine', 'cast_mmaction')
             if x in sys.modules]
    found[' '.join([path, *options])] = (
        code, out.getvalue(), err.getvalue(), heavy)
print(json.dumps(found))
'''


@pytest.fixture(scope='module')
def said():
    """What the tools say: exit status, output, errors, heavy imports."""
    words = [[str(x), [option]] for option in ('--help', '--no-such-option')
             for x in TOOLS if x.stem != WAITS]
    done = subprocess.run(
        [sys.executable, '-c', SCRIPT],
        input=json.dumps(words),
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    'tool', [x for x in TOOLS if x.stem != WAITS], ids=lambda x: x.stem)
def test_help(tool, said):
    code, out, _, heavy = said[f'{tool} --help']
    assert code == 0 and out.startswith('usage: ')
    assert heavy == [], 'it waits for what takes seconds to import'
    # What it is for, not its options alone.
    about = out.partition('\n\n')[2].split('\n\n')[0]
    assert about and not about.startswith(('options', 'positional')), out


def test_a_wrong_option_is_refused_at_once(said):
    refused = {k: x for k, x in said.items() if k.endswith('such-option')}
    assert len(refused) == len(TOOLS) - 1
    for words, (code, _, error, heavy) in refused.items():
        assert code == 2 and 'error: ' in error, words
        assert heavy == [], words


def choices(parser, *names):
    """Of an option, after the names of subcommands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and names[1:]:
            return choices(action.choices[names[0]], *names[1:])
        if names[0] in (action.dest, *action.option_strings):
            return set(action.choices)
    raise KeyError(names)


def test_the_choices_are_those_of_the_package(monkeypatch):
    """Parsers name what they must not import."""
    monkeypatch.syspath_prepend(str(ROOT / 'tools/benchmarks'))
    import benchmark_data
    import benchmark_model

    from cast_mmaction import checkpoints
    from cast_mmaction.datasets import epic_kitchens, own_config, sound_lists
    from cast_mmaction.datasets.video import READERS
    from cast_mmaction.demo.reading import Limits
    from cast_mmaction.models.vit import ARCHS
    from cast_mmaction.prediction import features

    parsers = []
    parse = argparse.ArgumentParser.parse_args

    def keep(self, *args, **kwargs):
        parsers.append(self)
        return parse(self, *args, **kwargs)

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', keep)

    def parser(name):
        with pytest.raises(SystemExit):
            load_tool(name).parse_args(['--help'])
        return parsers.pop()

    convert = parser('checkpoints/convert_checkpoint')
    assert choices(convert, 'source') == {
        *checkpoints.CONVERTERS, 'cast_mmaction'}
    assert choices(convert, '--to') == {
        *checkpoints.REVERTERS, 'cast_mmaction', 'hf'}
    check = parser('data/check_videos')
    assert choices(check, '--decoder') == {*READERS}
    assert check.get_default('layout') == epic_kitchens.OFFICIAL_PATHS['clips']
    assert epic_kitchens.OFFICIAL_PATHS['videos'] in check.format_help()
    prepare = parser('data/prepare')
    assert choices(prepare, 'folder', '--size') == {*own_config.SIZES}
    assert choices(prepare, 'vggsound', '--split') == {
        *sound_lists.VGGSOUND_SPLITS}
    page = parser('demo_app')
    assert Limits() == Limits(
        page.get_default('max_megabytes'), page.get_default('max_length'),
        patience=page.get_default('patience'))
    assert choices(parser('extract_features'), '--moment') == {
        *features.MOMENTS}
    benchmark = parser('benchmarks/benchmark')
    assert choices(benchmark, 'model', '--arch') == {'tiny', *ARCHS}
    assert choices(benchmark, 'model', '--table') == {*benchmark_model.TABLES}
    assert choices(benchmark, 'data', '--table') == {*benchmark_data.TABLES}


@pytest.mark.parametrize('tool, words', [
    ('predict', ['a.mp4']), ('train', ['a.py']), ('test', ['a.py', 'b.pth'])])
def test_options_add_up(tool, words, monkeypatch):
    """Whether they come after one word or after several."""
    monkeypatch.setattr(sys, 'argv', [
        tool, *words, '--cfg-options', 'a=1', '--cfg-options', 'b=2', 'c=3'])
    found = load_tool(tool).parse_args()
    assert found.cfg_options == ['a=1', 'b=2', 'c=3']
