"""MkDocs hook: the pages that are made of code, metafiles and the notebook.

Nothing is imported; classes are found by their decorators, docstrings are
read by mkdocstrings. A page ``<name>.md`` of the navigation that is not in
docs/ comes from here.
"""
import ast
import json
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'cast_mmaction'

# Pages of the config reference: title, introduction, registries.
CONFIG_PAGES = {
    'models': ('Models', 'What `model` and the dicts inside it name: '
               'backbones, experts, exchanges, heads, preprocessors.',
               ('MODELS', )),
    'data': ('Data', 'What `*_dataloader` names: data sets, transforms, '
             'samplers.', ('DATASETS', 'TRANSFORMS', 'DATA_SAMPLERS')),
    'training': ('Training', 'Loops, hooks, the optimizer, its schedule, and '
                 'what several processes train by.',
                 ('LOOPS', 'HOOKS', 'OPTIM_WRAPPER_CONSTRUCTORS',
                  'PARAM_SCHEDULERS', 'MODEL_WRAPPERS')),
    'evaluation': ('Evaluation', 'What `*_evaluator` names.', ('METRICS', )),
}


class Registered(NamedTuple):
    """A class that configs name.

    Attributes:
        registry: Name of the host's registry, such as 'MODELS'.
        path: Where it is, dotted.
        names: What ``type`` is.
    """
    registry: str
    path: str
    names: List[str]


def registered() -> Iterator[Registered]:
    """All classes of the package under a ``register_module`` decorator."""
    for file in sorted(PACKAGE.rglob('*.py')):
        module = '.'.join(file.relative_to(ROOT).with_suffix('').parts)
        for node in ast.walk(ast.parse(file.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for call in node.decorator_list:
                function = getattr(call, 'func', None)
                if getattr(function, 'attr', None) == 'register_module':
                    given = [ast.literal_eval(x.value) for x in call.keywords
                             if x.arg == 'name']
                    names = given[0] if given else node.name
                    yield Registered(
                        function.value.id, f'{module}.{node.name}',
                        [names] if isinstance(names, str) else names)


def config_pages() -> Dict[str, str]:
    """The config reference, by path."""
    classes = list(registered())
    left = {x.registry for x in classes}.difference(
        *(registries for *_, registries in CONFIG_PAGES.values()))
    if left:
        raise ValueError(f'no page of the config reference has {left}')
    pages = {}
    for name, (title, text, registries) in CONFIG_PAGES.items():
        lines = [f'# {title}', '', text, '']
        for registry in registries:
            if len(registries) > 1:
                lines += [f'## {registry.replace("_", " ").capitalize()}', '']
            for one in classes:
                if one.registry == registry:
                    lines += entry(one, 2 + (len(registries) > 1))
        pages[f'reference/config/{name}.md'] = '\n'.join(lines)
    return pages


def entry(one: Registered, level: int) -> List[str]:
    """What a config says of a class, and the arguments."""
    # The old names of a class serve until the next release.
    lines = [f'{"#" * level} {one.names[0]}', '', '```python',
             f"dict(type='{one.names[0]}', ...)", '```', '']
    return lines + [
        f'::: {one.path}', '    options:', '      show_root_heading: false',
        '      show_root_toc_entry: false', '      members: false',
        '      skip_local_inventory: true', ''
    ]


def api_pages() -> Dict[str, str]:
    """The API reference: a page a package, and one of single modules."""
    packages: Dict[str, List[str]] = {}
    for file in sorted(PACKAGE.rglob('*.py')):
        *parents, stem = file.relative_to(PACKAGE).with_suffix('').parts
        if stem.startswith('_') or '.mim' in parents:
            continue
        packages.setdefault(parents[0] if parents else 'package', []).append(
            '.'.join(['cast_mmaction', *parents, stem]))
    pages = {}
    for name, modules in packages.items():
        title = 'cast_mmaction' + f'.{name}' * (name != 'package')
        lines = [f'# {title}', '']
        for module in modules:
            lines += [f'::: {module}', '    options:', '      heading_level: '
                      '2', '      show_root_full_path: true', '']
        pages[f'reference/api/{name}.md'] = '\n'.join(lines)
    return pages


def zoo_page() -> str:
    """Tables of all models of the index, an algorithm each."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    lines = [
        '---', 'hide: [toc]', '---', '# Models', '', 'Made from the metafiles '
        'that `model-index.yml` lists. What each recipe follows is in '
        '[Recipes](../configs/README.md).', ''
    ]
    for path in index['Import']:
        meta = yaml.safe_load((ROOT / path).read_text())
        for collection in meta['Collections']:
            models = [model for model in meta['Models']
                      if model['In Collection'] == collection['Name']]
            lines += zoo_table(collection, models)
    return '\n'.join(lines)


def zoo_table(collection: dict, models: List[dict]) -> List[str]:
    """The heading and the table of one algorithm."""
    paper = collection.get('Paper')
    lines = [f'## {collection["Name"]}', '']
    for one in paper if isinstance(paper, list) else [paper] * bool(paper):
        lines += [f'[{one["Title"]}]({one["URL"]})', '']
    folders = {str(Path(model['Config']).parent) for model in models}
    sources = {x.get('Source', '') for model in models
               for x in model.get('Results', [])}
    lines += [f'In `{"`, `".join(sorted(folders))}`.'
              + f' Results: {next(iter(sources))}.' * (len(sources) == 1), '',
              '| config | data | result, % | multiply-adds | parameters | '
              'trained |', '|---|---|---|---|---|---|']
    for model in models:
        data, results = model['Metadata'], model.get('Results', [])
        figures = '; '.join(
            ', '.join(f'{key.replace(" Accuracy", "")} {value}'
                      for key, value in x['Metrics'].items())
            for x in results if x.get('Metrics')) or '-'
        if len(sources) > 1:
            figures += ''.join(f'<br>*{x["Source"]}*' for x in results
                               if x.get('Source'))
        cells = [
            f'`{Path(model["Config"]).stem}`',
            ', '.join(dict.fromkeys(x['Dataset'] for x in results)), figures,
            *(str(data.get(key, '-')) for key in ('FLOPs', 'Parameters',
                                                  'Trained Parameters'))
        ]
        lines.append(f'| {" | ".join(cells)} |')
    return lines + ['']


def notebook_page(path: Path) -> str:
    """A notebook as a page: texts and code, without outputs."""
    lines = []
    for cell in json.loads(path.read_text())['cells']:
        source = ''.join(cell['source'])
        if cell['cell_type'] == 'code':
            source = f'```python\n{source}\n```'
        lines += [source, '']
    return '\n'.join(lines)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of docs/."""
    pages = {**config_pages(), **api_pages(), 'zoo.md': zoo_page(),
             'recipes.md': (ROOT / 'configs/README.md').read_text()}
    for notebook in sorted((ROOT / 'docs').glob('*.ipynb')):
        pages[f'{notebook.stem}.md'] = notebook_page(notebook)
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files
