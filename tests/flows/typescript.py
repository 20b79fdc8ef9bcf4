"""The TypeScript SDK as somebody has it who took it from here, and a site whose pages use it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.architecture.source import ROOT

SDK = ROOT / "sdks" / "typescript"
CLIENTS = Path(__file__).parent / "clients"
MADE = shutil.ignore_patterns("node_modules", "dist", "build")
NPM = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel", "error")
HELD_BACK = {"connection", "transfer-encoding"}
STRICT = ("--strict", "--exactOptionalPropertyTypes", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck")
RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Package:
    """A copy of the SDK with what it is made with, and a program's folder that may import it as `trunkline` and as `pr-agent`."""

    folder: Path

    @property
    def user(self) -> Path:
        return self.folder / "user"

    @property
    def sdk(self) -> Path:
        return self.folder / "sdks" / "typescript"

    def npm(self, *words: str) -> str:
        return said(["npm", *words], self.sdk, {})

    def generated(self) -> str:
        """The types of the API document as it is now; nothing that others stand on is changed by that."""
        folder = self.folder / "sdks" / "anew"
        (folder / "src" / "generated").mkdir(parents=True)
        shutil.copy(self.sdk / "package.json", folder)
        (folder / "node_modules").symlink_to(self.sdk / "node_modules")
        said(["npm", "run", "generate"], folder, {})
        return (folder / "src" / "generated" / "openapi.ts").read_text()

    def compiled(self, programs: Mapping[str, str]) -> None:
        """As those of somebody who takes types seriously."""
        for name, text in programs.items():
            (self.user / name).write_text(text)
        said([str(self.sdk / "node_modules" / ".bin" / "tsc"), *STRICT, *programs], self.user, {})

    def runs(self, file: str, *words: str, **environment: str) -> str:
        """What a program prints that lies in the user's folder."""
        return said(["node", file, *words], self.user, environment)


def said(words: list[str], folder: Path, environment: Mapping[str, str], seconds: float = 120) -> str:
    """What a program prints; it has to succeed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRUNKLINE_")}
    done = subprocess.run(
        words,
        cwd=folder,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built(folder: Path) -> Package:
    """Skips aloud where that cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("node and npm are not on this machine: the TypeScript SDK is not tried")
    package = Package(folder)
    shutil.copytree(SDK, package.sdk, ignore=MADE)
    (folder / "api").mkdir()
    shutil.copy(ROOT / "api" / "openapi.json", folder / "api")
    try:
        done = subprocess.run([npm, *NPM], cwd=package.sdk, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring the TypeScript compiler within three minutes: the TypeScript SDK is not tried")
    if done.returncode:
        pytest.skip(f"npm cannot bring the TypeScript compiler: the TypeScript SDK is not tried ({done.stderr[-300:]})")
    package.npm("run", "build")
    modules = package.user / "node_modules"
    modules.mkdir(parents=True)
    for name in ("trunkline", "pr-agent"):
        (modules / name).symlink_to(package.sdk)
    (modules / "@types").symlink_to(package.sdk / "node_modules" / "@types")
    (package.user / "package.json").write_text('{"type": "module"}')
    for program in CLIENTS.glob("*.mjs"):
        shutil.copy(program, package.user)
    return package


@dataclass
class Site:
    """A page, the SDK, and behind the same origin a gateway. `said` is what the page told when it was done."""

    pages: Path
    scripts: Path
    gateway: str
    said: dict[str, Any] = field(default_factory=dict)
    told: threading.Event = field(default_factory=threading.Event)
    url: str = ""


@contextmanager
def site(pages: Path, scripts: Path, gateway: str) -> Iterator[Site]:
    served = Site(pages, scripts, gateway)
    handler = type("Handler", (_Handler,), {"site": served})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        path = Path(urlsplit(self.path).path)
        found = {".html": self.site.pages / path.name, ".js": self.site.scripts / path.name}.get(path.suffix)
        if found is None:
            self._passed_on()
        elif found.is_file():
            self._file(found)
        else:
            self.send_error(404)

    def do_POST(self) -> None:
        if self.path != "/said":
            self._passed_on()
            return
        self.site.said.update(json.loads(self._body()))
        self.send_response(204)
        self.end_headers()
        self.site.told.set()

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def _file(self, found: Path) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if found.suffix == ".html" else "text/javascript")
        self.end_headers()
        self.wfile.write(found.read_bytes())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _passed_on(self) -> None:
        """To the gateway as it came; an answer that breaks off there breaks off here."""
        away = HTTPConnection(urlsplit(self.site.gateway).netloc, timeout=60)
        try:
            kept = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            away.request(self.command, self.path, self._body(), kept)
            self._answered(away.getresponse())
        except (OSError, HTTPException):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        finally:
            away.close()

    def _answered(self, answer: HTTPResponse) -> None:
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in HELD_BACK:
                self.send_header(name, value)
        self.end_headers()
        while chunk := answer.read1(1 << 14):
            self.wfile.write(chunk)
