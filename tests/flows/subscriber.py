"""A receiver of webhooks in a thread of its own, which trusts nobody: it verifies by the letter of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

WITHIN: Final = 30.0
TOLERANCE: Final = 300
Server = ThreadingHTTPServer


@dataclass(frozen=True)
class Came:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def marks(self) -> list[str]:
        return self.headers["webhook-signature"].split(" ")

    def signed_with(self, secret: str) -> bool:
        """As the reference libraries do it, written anew."""
        key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
        at = int(self.headers["webhook-timestamp"])
        wanted = base64.b64encode(hmac.new(key, f"{self.id}.{at}.".encode() + self.body, hashlib.sha256).digest()).decode()
        return abs(time.time() - at) < TOLERANCE and f"v1,{wanted}" in self.marks


@dataclass
class Subscriber:
    """Gives every challenge back, unless it is `sullen`, and answers everything else with `status`."""

    port: int = 0
    came: list[Came] = field(default_factory=list)
    status: int = 200
    sullen: bool = False

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Came]:
        """What was told there, handshakes aside."""
        return [one for one in list(self.came) if one.path == path and one.event["type"] != "webhook.verify"]

    def await_told(self, path: str, count: int = 1) -> list[Came]:
        deadline = time.monotonic() + WITHIN
        while len(found := self.at(path)) < count:
            assert time.monotonic() < deadline, f"{len(found)} of {count} came to {path}"
            time.sleep(0.02)
        return found

    def answer(self, came: Came) -> tuple[int, bytes]:
        if came.event["type"] != "webhook.verify":
            return self.status, b"{}"
        return (500, b"no") if self.sullen else (200, json.dumps({"challenge": came.event["data"]["challenge"]}).encode())


@contextmanager
def subscriber() -> Iterator[Subscriber]:
    found = Subscriber()

    class Told(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            came = Came(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            found.came.append(came)
            status, answer = found.answer(came)
            self.send_response(status)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Told)
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(WITHIN)
