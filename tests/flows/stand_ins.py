"""Five services that do nothing but live, die and drain on command, and a way to run `trunkline` with them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from trunkline.testing import warm
from trunkline.testing.warm import Forked

NAMES = ("router", "approvals", "sandbox", "relay", "gateway")
REPOSITORY = Path(__file__).parents[2]
SETTINGS = """
from pathlib import Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr

class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    nats_url: str = Field("nats://127.0.0.1:4222", description="a")
    nats_user: str = Field("", description="b")
    nats_password: SecretStr = Field(SecretStr(""), description="c")
    data_dir: Path | None = Field(None, description="d")
    host: str = Field("127.0.0.1", description="e")
    port: int = Field(8787, description="f")
    refuses: str = Field("", description="h", json_schema_extra={"env": "STAND_IN_REFUSES"})
    hangs: str = Field("", description="i", json_schema_extra={"env": "STAND_IN_HANGS"})
"""
KEYS = """
    dev: bool = Field(False, description="j")
    operator_key_file: Path | None = Field(None, description="k")
    vault_key: SecretStr = Field(SecretStr(""), description="l")
    vault_key_file: Path | None = Field(None, description="m")
"""
KEY = """
    key: str = Field("", description="n", json_schema_extra={"env": "STAND_IN_KEY"})
    anthropic_api_key: SecretStr = Field(SecretStr(""), description="g", json_schema_extra={"env": "ANTHROPIC_API_KEY"})
"""
WIRING = """
import asyncio, contextlib, json, os
from pathlib import Path
from trunkline.contracts.errors import Unsupported
from trunkline_cli.nats_wire import greet
NAME = __name__.partition(".")[0].removeprefix("trunkline_")

@contextlib.asynccontextmanager
async def running(settings):
    if settings.refuses == NAME:
        raise Unsupported("There is no bubblewrap here. Install it.")
    await greet(settings.nats_url, settings.nats_user, settings.nats_password.get_secret_value())
    server = await asyncio.start_server(answer, settings.host, settings.port) if NAME == "gateway" else None
    fall = Path(settings.data_dir) / f"fall-{NAME}"
    fall.with_name(f"environ-{NAME}").write_text(json.dumps(dict(os.environ)))
    async with asyncio.TaskGroup() as group:
        falling = group.create_task(fall_when_told(fall))
        try:
            yield
        finally:
            print("drained", NAME, flush=True)
            if server:
                server.close()
            if settings.hangs == NAME:
                await asyncio.sleep(60)
            falling.cancel()

async def fall_when_told(fall):
    while not fall.exists():
        await asyncio.sleep(0.02)
    fall.unlink()
    raise ValueError("it fell")

async def answer(reader, writer):
    await reader.readline()
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}")
    await writer.drain()
    writer.close()
"""


def write(folder: Path) -> Path:
    """Five packages that stand where the services would."""
    for name in NAMES:
        package = folder / f"trunkline_{name}"
        package.mkdir(parents=True)
        settings = SETTINGS + {"sandbox": KEY, "gateway": KEYS}.get(name, "")
        for file, text in (("__init__.py", ""), ("settings.py", settings), ("wiring.py", WIRING)):
            (package / file).write_text(text)
    return folder


@dataclass
class Command:
    """A `trunkline` process whose output is read as it comes."""

    process: subprocess.Popen[bytes] | Forked
    output: IO[bytes]
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with self.output:
            for line in self.output:
                self.lines.append(line.decode().rstrip("\n"))

    def await_line(self, part: str, seconds: float = 40, *, count: int = 1) -> str:
        """The `count`th line that holds `part`."""
        return until(lambda: (found := [line for line in self.lines if part in line])[count - 1 :] and found[count - 1], seconds, self)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; exit code and seconds until the end."""
        began = time.monotonic()
        self.process.send_signal(number)
        code, seconds = self.process.wait(30), time.monotonic() - began
        self.reader.join(5)
        return code, seconds

    def __str__(self) -> str:
        return "\n".join(self.lines)


def until(found: Callable[[], object], seconds: float, what: object = "") -> str:
    """Wait until `found` gives something; fails showing `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if got := found():
            return str(got)
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s; so far:\n{what}")


def trunkline(services: Path | None, *words: str | Path, cold: bool = False, **env: str) -> Command:
    """Start `trunkline WORDS`, with the stand-ins in place of the services when given. A split one starts cold, as by a shell."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "ANTHROPIC_"))}
    argv = ["trunkline_cli", *map(str, words)]
    roots = (REPOSITORY / root for root in ("libs", *(f"services/{name}" for name in NAMES), "cli"))
    path = [services, *roots] if services else []
    environment = {**clean, "PYTHONPATH": ":".join(map(str, path)), **env}
    if not cold and "--split" not in words:
        read, write = os.pipe()
        with open(write, "wb") as output:
            return Command(warm.start(argv, environment, output), open(read, "rb"))
    process = subprocess.Popen(
        [sys.executable, "-m", *argv], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    assert process.stdout
    return Command(process, process.stdout)
