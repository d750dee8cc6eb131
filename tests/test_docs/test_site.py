"""The pages build without a warning, and the notebook runs."""
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from mmaction import registry

from tests.toy import ROOT

SITE = ROOT / 'docs/site'


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The folder of the built pages."""
    for package in ('material', 'mkdocstrings'):
        pytest.importorskip(package, reason="needs the extra 'docs'")
    folder = tmp_path_factory.mktemp('site')
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '-f',
         str(SITE / 'mkdocs.yml'), '-d', str(folder)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_all_registered_classes_are_in_the_reference(site):
    text = ''.join(
        file.read_text() for file in site.glob('reference/config/*/*.html'))
    for name in ('MODELS', 'DATASETS', 'TRANSFORMS', 'DATA_SAMPLERS', 'HOOKS',
                 'LOOPS', 'METRICS', 'PARAM_SCHEDULERS',
                 'OPTIM_WRAPPER_CONSTRUCTORS', 'MODEL_WRAPPERS'):
        for cls in set(getattr(registry, name).module_dict.values()):
            if cls.__module__.startswith('cast_mmaction.') and \
                    not cls.__module__.startswith('cast_mmaction.compat'):
                assert f'id="{cls.__name__.lower()}"' in text, cls


@pytest.mark.slow
def test_all_models_are_in_the_zoo(site):
    text = (site / 'zoo/index.html').read_text()
    for path in yaml.safe_load(
            (ROOT / 'model-index.yml').read_text())['Import']:
        for model in yaml.safe_load((ROOT / path).read_text())['Models']:
            assert Path(model['Config']).stem in text


@pytest.mark.slow
def test_the_pages_fetch_nothing(site):
    for file in site.rglob('*.html'):
        for mark in ('fonts.googleapis', 'cdn.', 'unpkg'):
            assert mark not in file.read_text(), file


def test_a_link_to_nothing_is_refused():
    pytest.importorskip('mkdocs', reason="needs the extra 'docs'")
    spec = importlib.util.spec_from_file_location('links', SITE / 'links.py')
    links = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(links)

    class Page:
        class file:
            src_uri = 'train.md'

    class Files:
        @staticmethod
        def get_file_from_path(uri):
            return uri in ('data.md', 'recipes.md')

    def change(text):
        return links.on_page_markdown(text, Page, None, Files)

    assert change('[a](data.md#b)') == '[a](data.md#b)'
    assert change('[a](../configs/README.md)') == '[a](recipes.md)'
    assert change('[a](../setup.cfg)') == 'a (`setup.cfg`)'
    assert change('![a](absent.png)') == '![a](absent.png)'
    with pytest.raises(ValueError, match='train.md: a link to absent.md'):
        change('[a](absent.md)')


@pytest.mark.slow
@pytest.mark.parametrize('name', ['notebook'])
def test_the_notebook(name, tmp_path):
    for package in ('ipykernel', 'nbclient'):
        pytest.importorskip(package, reason="needs the extra 'docs'")
    import nbformat
    from nbclient import NotebookClient
    notebook = nbformat.read(ROOT / f'docs/{name}.ipynb', 4)
    code = [cell for cell in notebook.cells if cell.cell_type == 'code']
    assert not any(cell.outputs for cell in code)
    for folder in ('configs', 'tools'):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    NotebookClient(
        notebook, timeout=300,
        resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    printed = ''.join(
        output.text for cell in code for output in cell.outputs
        if output.output_type == 'stream')
    assert 'a toy with random weights' in printed
    assert 'spatial reads temporal' in printed and 'layer 3 is silent' in \
        printed
    assert any('image/png' in output.get('data', {})
               for cell in code for output in cell.outputs)
