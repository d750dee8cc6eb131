"""Damaged lists: each is read, or one sentence says where it is wrong."""
import json
import os
import random
from collections import Counter
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

from cast_mmaction.class_names import read_class_names
from cast_mmaction.datasets import EpicKitchensDataset, VideoListDataset
from cast_mmaction.datasets.annotations import read_kinetics, read_ssv2
from cast_mmaction.datasets.epic_annotations import read_classes, read_column
from cast_mmaction.datasets.own_data import clips_of_csv

from .mutations import BINARY, Damage

COLUMNS = ('narration_id,participant_id,video_id,narration_timestamp,'
           'start_timestamp,stop_timestamp,start_frame,stop_frame,narration,'
           'verb,verb_class,noun,noun_class,all_nouns,all_noun_classes')
ROW = ('P01_11_{0},P01,P01_11,00:00:00.56,00:00:00.0{0},00:00:0{1}.89,{1},53,'
       '"take, plate",take,{0},plate,2{0},"[\'plate\']",[2]')


class Kind(NamedTuple):
    """A kind of list: its text and what reads it."""
    text: str
    read: Callable[[str], object]


def _other_encoding(data: bytes, draw: random.Random) -> bytes:
    text = data.decode('utf-8', 'replace').replace('a', '\u00e9')
    codec = draw.choice(('latin-1', 'utf-16', 'utf-32', 'utf-8-sig', 'cp1252'))
    return text.encode(codec, 'replace')


def _quotes(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    return data[:place] + draw.choice(
        (b'"', b'""', b"'", b'"\n', b'\\"')) + data[place:]


def _long_line(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    return data[:place] + draw.choice(
        (b'x', b'7', b',', b'[')) * draw.choice((5000, 200_000)) + data[place:]


def _numbers(data: bytes, draw: random.Random) -> bytes:
    places = [i for i, byte in enumerate(data) if chr(byte).isdigit()]
    if not places:
        return data + b'9'
    place = draw.choice(places)
    return data[:place] + draw.choice(
        (b'x', b'-1', b'1.5', b'1e9', b'nan', b'', b'9' * 30, b'null', b' ',
         '\u0663'.encode(), b'true')) + data[place + 1:]


def _nul(data: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(data))
    return data[:place] + b'\0' * draw.choice((1, 512)) + data[place:]


def _lines(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    one = draw.choice(lines)
    return draw.choice((
        data.replace(one, b'', 1), data + one, data.replace(b'\n', b'\r'),
        data.replace(one, one.upper(), 1), one + data,
        data.replace(b',', b';', 3), data.replace(one, b'\n', 1),
        data.replace(b'{', b'[', 1), data.replace(b'":', b'",', 1), b''))


TEXT: List[Damage] = [
    _other_encoding, _quotes, _long_line, _numbers, _nul, _lines
]


def kinds(folder: Path) -> Dict[str, Kind]:
    """Every kind of list, with the files that it speaks of."""
    for name in ('a.mp4', 'b c.mp4', 'P01/videos/P01_11.MP4'):
        path = folder / 'videos' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b'there')
    videos = str(folder / 'videos')
    labels = folder / 'labels.json'
    labels.write_text('{"Holding something": "0"}')
    rows = folder / 'rows.json'
    rows.write_text('[{"id": "7", "template": "Holding [something]"}]')

    def epic(path: str, **options) -> object:
        return EpicKitchensDataset(
            path, [],
            data_prefix=dict(videos=videos),
            serialize_data=False,
            **options)

    official = '\n'.join([COLUMNS, *(ROW.format(i, i + 1) for i in range(5))])
    narrations = folder / 'narrations.csv'
    narrations.write_text(official)
    return {
        'video list': Kind(
            'a.mp4 0\nb c.mp4 12\na.mp4 3\n',
            lambda path: VideoListDataset(
                path, [],
                num_classes=20,
                data_prefix=dict(video=videos),
                serialize_data=False)),
        'EPIC, official': Kind(official + '\n', epic),
        'EPIC, short': Kind(
            'narration_id,verb,noun\nP01_11_0,0,2\nP01_11_1,96,299\n',
            lambda path: EpicKitchensDataset(
                path, [], data_prefix=dict(clips=videos),
                path_template='a.mp4',
                serialize_data=False)),
        'EPIC, tail classes': Kind(
            'verb\n10\n12\n',
            lambda path: epic(
                str(narrations), class_files=dict(tail_verbs=path))),
        'EPIC, classes': Kind(
            'id,key,instances,category\n0,take,"[\'a\', \'b\']",x\n1,put,,y\n',
            read_classes),
        'EPIC, one column': Kind('verb\n10\n12\n',
                                 lambda path: read_column(path, 'verb')),
        'Kinetics': Kind(
            'label,youtube_id,time_start\nabseiling,0wR5jVB,417\n'
            '"zumba, hot",3caPS4F,8\n', lambda path: read_kinetics(path, 2)),
        'SSv2': Kind(
            json.dumps([dict(id='7', template='Holding [something]'),
                        dict(id='8', template='Holding [something]')],
                       indent=1), lambda path: read_ssv2(path, str(labels))),
        'SSv2, labels': Kind(
            json.dumps({'Holding something': '0', 'Eating something': '1'},
                       indent=1), lambda path: read_ssv2(str(rows), path)),
        'class names': Kind('waving\nturning\ncutting bread\n',
                            lambda path: read_class_names(path, 3)),
        'own videos': Kind(
            'file,label,split\na.mp4,waving,train\nb c.mp4,"turning",val\n',
            lambda path: clips_of_csv(path, videos)),
    }


def fault_of(read: Callable[[str], object], path: str) -> Optional[str]:
    """'read', 'refused', or what is wrong with the way it is refused."""
    try:
        read(path)
        return 'read'
    except (ValueError, OSError) as error:
        message = str(error)
        known = (ValueError, FileNotFoundError)
        if type(error) not in known:
            return f'{type(error).__name__}: {message[:200]}'
        if '\n' in message or len(message) > 600:
            return f'no short sentence: {message[:200]}'
        if os.path.basename(path) not in message:
            return f'no name of the file: {message[:200]}'
        return 'refused'
    except Exception as error:
        return f'{type(error).__name__}: {str(error)[:200]}'


def run(count: int, folder: Path) -> Counter:
    """Read `count` damaged lists.

    Returns:
        Counter: How often what happened; everything but 'read' and 'refused'
        is a fault.
    """
    found: Counter = Counter()
    all_kinds = list(kinds(folder).items())
    path = folder / 'damaged_list.csv'
    for name, kind in all_kinds:  # whole lists are read
        path.write_text(kind.text)
        kind.read(str(path))
    for number in range(count):
        name, kind = all_kinds[number % len(all_kinds)]
        draw = random.Random(number)
        data = kind.text.encode()
        for _ in range(draw.choice((1, 1, 2))):
            data = draw.choice(BINARY + 3 * TEXT)(data, draw) or b'\n'
        path.write_bytes(data)
        result = fault_of(kind.read, str(path))
        where = '' if result in ('read', 'refused') else f' ({name}, {number})'
        found[result + where] += 1
    return found
