"""Clips from shards against clips from files: ``benchmark.py storage``."""
import argparse
import functools
import random
import shutil
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Dict, List

import torch
from benchmark_data import make_video
from benchmarking import (CLOCKS, alternate, environment, json_path, rate,
                          ratio, report)

from cast_mmaction.preparation.shards import read_samples, write_shards
from cast_mmaction.storage import Store

CPU = torch.device('cpu')


class RangeHandler(SimpleHTTPRequestHandler):
    """Python's file server, with parts of files."""
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """A part, or all."""
        path = Path(self.translate_path(self.path))
        size = path.stat().st_size
        first, last = 0, size - 1
        part = self.headers.get('Range')
        if part:
            begin, _, end = part.removeprefix('bytes=').partition('-')
            first, last = int(begin), min(int(end or last), last)
        self.send_response(206 if part else 200)
        self.send_header('Content-Length', str(last - first + 1))
        self.end_headers()
        with open(path, 'rb') as file:
            file.seek(first)
            self.wfile.write(file.read(last - first + 1))


def run(args: argparse.Namespace) -> None:
    """Read every video once, from each place."""
    with tempfile.TemporaryDirectory() as folder:
        measure(args, Path(folder))


def measure(args: argparse.Namespace, root: Path) -> None:
    """Make the videos and shards, and time the reading."""
    (root / 'files').mkdir()
    video = make_video(str(root / 'video.mp4'))
    names = [f'{number}.mp4' for number in range(args.videos)]
    for name in names:
        shutil.copy(video, root / 'files' / name)
    (root / 'list.txt').write_text(''.join(f'{name} 0\n' for name in names))
    samples = read_samples(str(root / 'list.txt'), str(root / 'files'))
    listing = write_shards(samples, str(root / 'shards'), 'all',
                           args.shard_mb)
    lines = Path(listing).read_text().splitlines()
    members = [line.rpartition(' ')[0] for line in lines]
    server = ThreadingHTTPServer(
        ('127.0.0.1', 0),
        functools.partial(RangeHandler, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    web = f'http://127.0.0.1:{server.server_address[1]}'

    def read(place: str, addresses: List[str], cached: bool = False) -> None:
        cache = root / 'cache'
        shutil.rmtree(cache, ignore_errors=True)
        store = Store(cache=dict(folder=str(cache), gigabytes=1.)
                      if cached else None)
        for address in addresses:
            store.read(f'{place}/{address}')

    # In the order of an epoch: files at random, shards one after the other.
    order = random.Random(0).sample(names, len(names))
    contenders = {
        'files, disk': lambda: read(f'{root}/files', order),
        'shards, disk': lambda: read(f'{root}/shards', members),
        'files, HTTP': lambda: read(f'{web}/files', order),
        'shards, HTTP, a request a clip': lambda: read(
            f'{web}/shards', members),
        'files, HTTP, empty cache': lambda: read(f'{web}/files', order, True),
        'shards, HTTP, empty cache': lambda: read(f'{web}/shards', members,
                                                  True),
    }
    times = alternate(contenders, args.rounds, clock=CLOCKS[args.clock])
    server.shutdown()
    baselines: Dict[str, str] = {
        name: name.split(', a')[0].replace('shards', 'files')
        for name in contenders
    }
    report(
        'Videos read, not decoded', [
            dict(
                reading=name,
                clips_a_second=rate(times, name, args.videos),
                time_of_files=ratio(times, name, baselines[name]))
            for name in contenders
        ],
        dict(
            environment(CPU, args.clock),
            videos=args.videos,
            bytes=samples[0].size,
            shards=len(list((root / 'shards').glob('*.tar')))),
        json_path(args.json, 'storage'))
