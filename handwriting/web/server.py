"""What pages on localhost share: a server that only this computer reaches, and only the page itself may change."""

import contextlib
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from stages.digits.base.errors import InputError

HOST = "127.0.0.1"  # reachable from this computer only
NAMES = (HOST, "localhost")  # of this computer: a page elsewhere could have any other name lead here
MAX_BYTES = 2**20  # of a request: a drawing has about 10 KB
TYPES = {b"<!DOCT": "text/html; charset=utf-8", b"\x89PNG\r\n": "image/png"}  # by a content's first six bytes

Answer = dict | bytes | None  # JSON, a page or a picture; None if there is no such thing


class Handler(BaseHTTPRequestHandler):
    """Answers to `get` and `post`, which a subclass defines.

    Only the page itself may ask for them: not another page that is open in the browser, whose requests name it as their
    origin. What begins with one of `guarded` is posted by nobody who names no origin.
    """

    guarded: tuple[str, ...] = ("/",)

    def get(self, path: str) -> Answer:
        raise NotImplementedError

    def post(self, path: str, body: bytes) -> Answer:
        raise NotImplementedError

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # the tab was closed or reloaded before its answer
            super().handle()

    def do_GET(self) -> None:
        if self.is_allowed(needs_origin=False):
            self.reply(self.get(self.path), 404)
        else:
            self.send_error(403)

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not self.is_allowed(needs_origin=self.path.startswith(self.guarded)):
            self.send_error(403)
        elif not re.fullmatch("[0-9]{1,7}", length) or int(length) > MAX_BYTES:
            self.send_error(400)
        else:
            self.reply(self.post(self.path, self.rfile.read(int(length))), 400)

    def is_allowed(self, needs_origin: bool) -> bool:
        """Whether the request is for this computer by its own name, and, where it names an origin, from this page."""
        host = self.headers.get("Host", "")
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        origins = self.headers.get_all("Origin", [])
        return name in NAMES and origins in ([[f"http://{host}"]] if needs_origin else [[], [f"http://{host}"]])

    def reply(self, answer: Answer, status_if_none: int) -> None:
        if answer is None:
            self.send_error(status_if_none)
            return
        content = json.dumps(answer).encode() if isinstance(answer, dict) else answer
        self.send_response(200)
        self.send_header("Content-Type", TYPES.get(content[:6], "application/json"))
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")  # no other page may show a picture of this one
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Say nothing: a page makes many requests."""


def listen(port: int, handler: Callable[..., Handler]) -> ThreadingHTTPServer:
    """A server that listens but doesn't answer yet; port 0 takes a free one. InputError if the port is taken."""
    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except OSError as error:
        raise InputError(f"port {port}: {error.strerror}; choose another one with --port") from None


def serve(server: ThreadingHTTPServer, advice: str) -> None:
    """Print the address, and what to do there; answer until Ctrl-C."""
    print(f"http://{HOST}:{server.server_port}  {advice}; Ctrl-C stops", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
