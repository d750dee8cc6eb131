"""Show what models have learnt: figures, curves, classes; one page for all.

    tools/results/report.py \\
        --method "CAST, ours" ek100=work_dirs/a ssv2=work_dirs/b k400=... \\
        --method "AIM, ours" ek100=work_dirs/c \\
        --run CAST=work_dirs/a AIM=work_dirs/c \\
        --dump AIM=aim.pkl CAST=cast.pkl --out work_dirs/report

--method names tests (their work dirs or .json logs) by data set: balance.md
and balance.png are the harmonic means of the paper's table 2 and the bars of
its figure 4, beside the published rows. --run names trainings: curves.png.
--dump names results of tools/test.py --dump: a confusion matrix by name of
each and, of the first two, the classes whose F1 differs most (figures 11 to
14). report.html holds all of it and needs no other file.
"""
import argparse
import json
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

DATA_SETS = ('ek100', 'ssv2', 'k400')
PUBLISHED = Path(__file__).with_name('published.json')
COLUMNS = dict(
    verb='EK100 verb',
    noun='EK100 noun',
    action='EK100 action',
    ek100='H.M. verb, noun',
    ssv2='SSv2',
    k400='K400',
    ssv2_k400='H.M. SSv2, K400',
    all='H.M. of all four')
PANELS = {
    'EPIC-KITCHENS-100': ('verb', 'noun', 'ek100'),
    'SSv2 and K400': ('ssv2', 'k400', 'ssv2_k400'),
    'All': ('all', ),
}
SHOWN = 30  # classes of a confusion matrix
DIFFERENCES = 12  # classes on either side
CONFUSIONS = 10

Named = List[Tuple[str, str]]


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--method',
        nargs='+',
        action='append',
        default=[],
        metavar=('NAME', 'DATASET=PATH'),
        help=f'data sets: {", ".join(DATA_SETS)}')
    for name, what in (('--run', 'WORK_DIR'), ('--dump', 'FILE')):
        parser.add_argument(
            name, nargs='+', default=[], metavar=f'NAME={what}')
    parser.add_argument(
        '--annotations',
        help='list of the split, for dumps of verbs and nouns without labels')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/report'))
    args = parser.parse_args(argv)
    for _, *tests in args.method:
        for test in tests:
            dataset, separator, _ = test.partition('=')
            if dataset not in DATA_SETS or not separator:
                parser.error(f'{test!r}: give DATASET=PATH, with a data set '
                             f'of {", ".join(DATA_SETS)}')
    for option in ('run', 'dump'):
        parts = [x.partition('=') for x in getattr(args, option)]
        for name, separator, path in parts:
            if not (name and separator and path):
                parser.error(f'--{option} {name}: give NAME=PATH')
        names = [name for name, _, _ in parts]
        if len(set(names)) < len(names):
            parser.error(f'--{option}: a name is there twice')
        setattr(args, option, [(name, path) for name, _, path in parts])
    return args


def gather(methods: List[List[str]]) -> Dict[str, Dict[str, float]]:
    """Figures and harmonic means of the published and the own methods."""
    from cast_mmaction.evaluation.balance import balance, read_figures
    rows = {f'{name} (published)': row for name, row in _published().items()}
    for name, *tests in methods:
        row = rows.setdefault(name, {})
        for test in tests:
            dataset, _, path = test.partition('=')
            row.update(read_figures(dataset, path))
    return {name: {**row, **balance(row)} for name, row in rows.items()}


def _published(key: str = 'methods'):
    return json.loads(PUBLISHED.read_text())[key]


def cells(rows: Dict[str, Dict[str, float]]) -> List[List[str]]:
    """The lines of the table, one method each."""
    values = {name: [row.get(key) for key in COLUMNS]
              for name, row in rows.items()}
    return [[name, *('-' if x is None else f'{x:.1f}' for x in line)]
            for name, line in values.items()]


def markdown(rows: Dict[str, Dict[str, float]]) -> str:
    """The table, one method a line."""
    lines = [
        '| | ' + ' | '.join(COLUMNS.values()) + ' |',
        '|---' * (1 + len(COLUMNS)) + '|',
        *('| ' + ' | '.join(line) + ' |' for line in cells(rows))
    ]
    return '\n'.join([*lines, '', f'Published: {_published("source")}.', ''])


def report_balance(methods: List[List[str]], out: Path) -> list:
    """balance.md, balance.png, and their section."""
    from cast_mmaction.visualization.charts import Panel, bar_chart
    from cast_mmaction.visualization.page import Section
    rows = gather(methods)
    text = markdown(rows)
    (out / 'balance.md').write_text(text, encoding='utf-8')
    print(text)
    picture = out / 'balance.png'
    bar_chart(picture, [
        Panel(
            title, list(rows), {
                COLUMNS[key]: [row.get(key) for row in rows.values()]
                for key in keys
            }) for title, keys in PANELS.items()
    ])
    return [
        Section('Balance', f'Published: {_published("source")}.',
                ['', *COLUMNS.values()], cells(rows), [picture])
    ]


def report_runs(runs: Named, out: Path) -> list:
    """curves.png and its section."""
    from cast_mmaction.evaluation.curves import read_curves
    from cast_mmaction.visualization.charts import Lines, line_chart
    from cast_mmaction.visualization.page import Section
    curves = {name: read_curves(path) for name, path in runs}
    keys = list(dict.fromkeys(key for x in curves.values() for key in x))
    # Losses, accuracies of the training, then what validations found.
    keys = [key for key in keys
            if key.startswith('loss') or 'top1' in key or key == 'lr']
    picture = out / 'curves.png'
    line_chart(picture, [
        Lines(key, {name: x[key] for name, x in curves.items() if key in x})
        for key in keys
    ])
    header = ['run', 'steps', 'last loss']
    rows = [[name, str(x['loss'][0][-1]), f'{x["loss"][1][-1]:.3f}']
            for name, x in curves.items()]
    return [Section('Training', '', header, rows, [picture])]


def report_dumps(dumps: Named, annotations: Optional[str],
                 out: Path) -> list:
    """Confusion of each dump, differences of the first two."""
    from cast_mmaction.evaluation import per_class
    from cast_mmaction.visualization.charts import (Panel, bar_chart,
                                                    matrix_chart)
    from cast_mmaction.visualization.page import Section
    answers = {
        name: per_class.read_answers(path, annotations)
        for name, path in dumps
    }
    sections = []
    if len(dumps) > 1:
        (one, of_one), (other, of_other) = list(answers.items())[:2]
        panels = []
        for task in of_one:
            if task not in of_other:
                raise ValueError(f'{one} and {other} are dumps of different '
                                 'tasks')
            rows = per_class.f1_differences(of_one[task], of_other[task],
                                            DIFFERENCES)
            panels.append(
                Panel(task, [f'{name} ({count})' for name, _, count in rows],
                      {f'F1, {other} - {one}': [x for _, x, _ in rows]}))
        picture = out / 'differences.png'
        bar_chart(picture, panels)
        sections.append(
            Section(
                f'{other} against {one}',
                'F1 of a class, 0 to 100, in brackets its clips. Of many '
                f'classes the {DIFFERENCES} with the largest gain and the '
                f'{DIFFERENCES} with the largest loss.',
                pictures=[picture]))
    for place, (name, tasks) in enumerate(answers.items()):
        for task, x in tasks.items():
            shown = per_class.most_frequent(x, SHOWN)
            picture = out / f'confusion-{place}-{task}.png'
            matrix_chart(picture,
                         per_class.confusion(x)[shown][:, shown],
                         [x.names[i] for i in shown], f'{name}: {task}')
            right = 100 * float((x.predicted == x.truth).mean())
            sections.append(
                Section(
                    f'{name}: {task}',
                    f'{right:.1f} % of {len(x.truth):,} clips are right. The '
                    f'matrix shows the {len(shown)} most frequent of '
                    f'{len(x.names)} classes; the table, what is mistaken '
                    'most often.', ['is', 'taken for', 'clips', '%'],
                    [[a, b, str(count), f'{share:.0f}']
                     for a, b, count, share in per_class.most_confused(
                         x, CONFUSIONS)], [picture]))
    return sections


def run(args: argparse.Namespace) -> None:
    """Writes the report, and prints the table of balance."""
    from cast_mmaction.atomic_write import atomic_write
    from cast_mmaction.visualization.page import html_page
    args.out.mkdir(parents=True, exist_ok=True)
    sections = []
    if args.method or not (args.run or args.dump):
        sections += report_balance(args.method, args.out)
    if args.run:
        sections += report_runs(args.run, args.out)
    if args.dump:
        sections += report_dumps(args.dump, args.annotations, args.out)
    page = args.out / 'report.html'
    with atomic_write(page) as part:
        part.write_text(html_page('Report', sections), encoding='utf-8')
    print(f'{page} holds all of it')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """The command."""
    args = parse_args(argv)
    from cast_mmaction.one_line import refusals_in_one_line
    with refusals_in_one_line():
        run(args)


if __name__ == '__main__':
    main()
