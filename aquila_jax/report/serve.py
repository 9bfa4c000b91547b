"""A small server that shows the page and follows its runs while they write."""

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aquila_jax.report import page
from aquila_jax.report.read import Run, read_runs

PERIOD = 2.0  # seconds between two questions of the page
STALE = 60.0  # seconds after which the clock alone makes news: a run that went silent


def serve(workdirs: Sequence[Path], port: int) -> None:
    """Serves the runs to this machine until it is interrupted. ValueError: no run, no port."""
    with make_server(workdirs, port) as server:
        print(f"Report at http://127.0.0.1:{server.server_address[1]}/ (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass


def make_server(workdirs: Sequence[Path], port: int) -> ThreadingHTTPServer:
    """The server, listening to this machine only; port 0 takes a free one."""
    ask = follow(workdirs)
    ask()
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
    except (OSError, OverflowError) as error:
        raise ValueError(f"Port {port} cannot be used ({error}); give --serve another.") from error
    server.ask = ask
    return server


def follow(workdirs: Sequence[Path]) -> Callable[[], dict]:
    """A function that gives the contents with their `version`, reading only what is new."""
    lock = threading.Lock()
    runs: list[Run] = []
    value, seen, told = {"version": "0"}, None, 0.0

    def ask() -> dict:
        nonlocal runs, value, seen, told
        with lock:
            runs, now = read_runs(workdirs, runs), time.time()
            state = [(run.logs, bool(run.summary)) for run in runs]
            if state != seen or now - told > STALE:
                version = str(int(value["version"]) + 1)
                value = page.contents(runs, now=now, live=PERIOD) | {"version": version}
                seen, told = state, now
            return value

    return ask


# The standard library's server is used by inheritance: there is no other door to it.
class Answer(BaseHTTPRequestHandler):
    """`/` is the page, `/data.json?version=V` its contents, or only V if nothing is newer."""

    def handle(self):
        """Answers until the browser goes away, which is no error."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self):
        """Answers one question."""
        url = urlsplit(self.path)
        try:
            value = self.server.ask()
        except (ValueError, OSError) as error:
            self.send_error(503, "The runs cannot be read.", str(error))
            return
        if url.path == "/":
            self._send(page.render(value).encode(), "text/html; charset=utf-8")
        elif url.path == "/data.json":
            known = parse_qs(url.query).get("version") == [value["version"]]
            answer = {"version": value["version"]} if known else value
            self._send(page.as_json(answer), "application/json")
        else:
            self.send_error(404)

    def _send(self, body: bytes, kind: str) -> None:
        packed = "gzip" in self.headers.get("Accept-Encoding", "")
        body = gzip.compress(body, compresslevel=1) if packed else body
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Says nothing: the terminal belongs to the training."""
