"""A web server that can fail as stores do, in front of a folder or of S3."""
import http.client
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote


class Server:
    """Serves a folder, or passes requests on to another server.

    Args:
        folder: What to serve.
        upstream: ``host:port`` to ask instead.
        ranges: Whether parts are given.

    Attributes:
        faults: What to do with the next requests, in turn: a status, 'cut'
            (half an answer), 'trickle' (piece by piece), a number of seconds
            to wait, or None.
        requests: Paths and ranges that were asked for.
    """

    def __init__(self, folder=None, upstream=None, ranges=True, port=0):
        self.folder, self.upstream, self.ranges = folder, upstream, ranges
        self.faults, self.requests = [], []
        handler = type('Handler', (_Handler, ), dict(owner=self))
        self.server = ThreadingHTTPServer(('127.0.0.1', port), handler)
        self.port = self.server.server_address[1]
        self.address = f'http://127.0.0.1:{self.port}'
        threading.Thread(target=self.server.serve_forever,
                         kwargs=dict(poll_interval=0.02)).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        wanted = self.headers.get('Range')
        self.owner.requests.append((self.path, wanted))
        fault = self.owner.faults.pop(0) if self.owner.faults else None
        if isinstance(fault, int) and fault >= 400:
            return self.answer(fault, b'', {})
        if isinstance(fault, float):
            time.sleep(fault)
        try:
            self.answer(*self.content(wanted), fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # who asked has gone

    def content(self, wanted):
        if self.owner.upstream:
            connection = http.client.HTTPConnection(self.owner.upstream)
            connection.request(self.command, self.path,
                               headers=dict(self.headers.items()))
            there = connection.getresponse()
            headers = {key: value for key, value in there.getheaders()
                       if key.lower() not in ('connection', 'date', 'server',
                                              'transfer-encoding')}
            return there.status, there.read(), headers
        path = Path(self.owner.folder, unquote(self.path[1:]))
        if not path.is_file():
            return 404, b'', {}
        data = path.read_bytes()
        marks = re.fullmatch(r'bytes=(\d+)-(\d*)', wanted or '')
        if not marks or not self.owner.ranges:
            return 200, data, {}
        first = int(marks[1])
        if first >= len(data):
            return 416, b'', {}
        return 206, data[first:int(marks[2] or len(data)) + 1], {}

    def answer(self, status, data, headers, fault=None):
        self.send_response(status)
        headers.setdefault('Content-Length', str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault == 'cut':
            self.close_connection = True
            data = data[:len(data) // 2]
        if self.command == 'HEAD':
            return
        pieces = 6 if fault == 'trickle' else 1
        for piece in range(pieces):
            self.wfile.write(data[piece * len(data) // pieces:
                                  (piece + 1) * len(data) // pieces])
            if pieces > 1:
                time.sleep(0.1)
