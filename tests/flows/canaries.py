"""Canaries: secrets that each are put in by one door, in every spelling they may be found in, and the places that are searched for them."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from subprocess import PIPE, run
from typing import Final, TypeVar
from urllib.parse import quote

import nats

from tests.flows.jobs import bus_settings
from trunkline.testing.stack import Stack

T = TypeVar("T")
CORE: Final = 20
"""Characters, different in each canary: a piece as long as this gives it away, so a shortened one is found too."""


@dataclass(frozen=True)
class Canary:
    """A secret and how it came in. Only `core`, which stands inside of the value, is looked for."""

    door: str
    value: str = field(repr=False)
    core: str = field(repr=False)

    @cached_property
    def spellings(self) -> dict[str, bytes]:
        data = self.core.encode()
        return {
            "raw": data,
            "hex": data.hex().encode(),
            "HEX": data.hex().upper().encode(),
            "url": quote(self.core, safe="").encode(),
            **{f"base64 at {before}": _middle(bytes(before) + data, before) for before in range(3)},
        }

    def seen_in(self, data: bytes) -> list[str]:
        """The spellings in which it stands there."""
        return [name for name, spelling in self.spellings.items() if spelling in data]


def canary(door: str, before: str = "ghp_", middle: str = "") -> Canary:
    """A new one. As it is, it has the shape of a personal token of GitHub's; most that people paste by mistake have a known shape."""
    text = secrets.token_hex(CORE // 2)
    core = text[: CORE // 2] + middle + text[CORE // 2 + len(middle) :]
    return Canary(door, before + core + secrets.token_hex(8), core)


def known(door: str, value: str) -> Canary:
    """Of a secret that somebody else made."""
    middle = value.strip()
    return Canary(door, value, middle[max(0, len(middle) - CORE) // 2 :][:CORE])


def _middle(data: bytes, before: int) -> bytes:
    """Of base64 what does not depend on what stands before and behind."""
    return base64.b64encode(data)[-(-before * 8 // 6) : len(data) * 8 // 6]


@dataclass
class Search:
    """What was found where, but for what `allowed` names: places, and the door whose canary they exist to hold."""

    canaries: list[Canary]
    allowed: Mapping[str, str] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)
    places: int = 0

    def look(self, place: str, data: bytes) -> None:
        self.places += 1
        for one in self.canaries:
            if not any(one.door == door and place.startswith(below) for below, door in self.allowed.items()):
                self.found.update(f"{one.door}, {spelling}: in {place}" for spelling in one.seen_in(data))

    def look_at_files(self, folder: Path, place: str) -> None:
        for at, _, names in os.walk(folder):
            for name in names:
                path = Path(at, name)
                if path.is_file() and not path.is_symlink():
                    with suppress(FileNotFoundError):  # nats-server tidies up as it goes
                        self.look(f"{place}/{path.relative_to(folder)}", path.read_bytes())

    def look_at_repositories(self, folder: Path, place: str) -> int:
        """Every object of every bare repository below, inflated; returns how many repositories there are."""
        heads = [head for head in folder.rglob("HEAD") if (head.parent / "objects").is_dir()]
        for head in heads:
            argv = ("git", "-c", "safe.directory=*", "cat-file", "--batch", "--batch-all-objects")
            done = run(argv, cwd=head.parent, env={**os.environ, "GIT_DIR": str(head.parent)}, stdout=PIPE, check=True, timeout=30)
            self.look(f"{place}/{head.parent.relative_to(folder)}", done.stdout)
        return len(heads)


async def messages(stack: Stack) -> dict[str, bytes]:
    """All that the streams hold, by stream and sequence: subject, headers and body."""
    settings = bus_settings(stack)
    client = await nats.connect(settings.nats_url, user=settings.nats_user, password=settings.nats_password.get_secret_value())
    try:
        js, held = client.jetstream(), dict[str, bytes]()
        for stream in await js.streams_info():
            for sequence in range(max(1, stream.state.first_seq), stream.state.last_seq + 1):
                try:
                    message = await js.get_msg(stream.config.name or "", seq=sequence)
                except nats.js.errors.NotFoundError:
                    continue
                held[f"stream {stream.config.name} {sequence}"] = f"{message.subject} {message.headers} ".encode() + (message.data or b"")
        return held
    finally:
        await client.close()


@contextmanager
def watched_processes(every: float = 0.05) -> Iterator[dict[str, set[bytes]]]:
    """Every command line and every environment that a process of the machine has while the block lasts."""
    over, shown = threading.Event(), {"cmdline": set[bytes](), "environ": set[bytes]()}

    def go() -> None:
        while not over.wait(every):
            for number in filter(str.isdigit, os.listdir("/proc")):
                for what, seen in shown.items():
                    with suppress(OSError):  # it is gone
                        seen.add(Path("/proc", number, what).read_bytes())

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield shown
    finally:
        over.set()
        thread.join(20)


def memory(pid: int) -> Iterator[bytes]:
    """What a process has written into its memory, region by region."""
    with Path(f"/proc/{pid}/maps").open() as regions, Path(f"/proc/{pid}/mem").open("rb", buffering=0) as held:
        for region in regions:
            place, rights = region.split()[:2]
            if rights.startswith("rw"):
                begin, end = (int(edge, 16) for edge in place.split("-"))
                held.seek(begin)
                with suppress(OSError):  # not ours to see, as [vvar]
                    yield held.read(end - begin)


@contextmanager
def in_a_thread(served: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Something that answers on a loop of its own, for a test that waits for others meanwhile."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        thing = asyncio.run_coroutine_threadsafe(served.__aenter__(), loop).result(20)
        try:
            yield thing
        finally:
            asyncio.run_coroutine_threadsafe(served.__aexit__(None, None, None), loop).result(20)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def eventually(true: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
