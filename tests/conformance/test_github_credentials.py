"""Where the credential for GitHub is while git works: in memory, and in no argv, environment, file, log or error."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from tests.conformance.github_place import BRANCH, Hub, hub
from trunkline.contracts.errors import DomainError
from trunkline.testing.repositories import branches
from trunkline_sandbox.adapters.forges.github.credentials import credentials, sweep
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.ports import Access

URL = "https://github.com/acme/calc.git"
SECRET = "ghs_the-secret-itself-that-nobody-may-see"


@dataclass
class Watch:
    """What /proc showed of all processes."""

    names: set[str] = field(default_factory=set)
    found: list[str] = field(default_factory=list)
    rounds: int = 0


def look(watch: Watch, secrets: list[bytes]) -> None:
    for number in os.listdir("/proc"):
        if not number.isdigit():
            continue
        for what in ("cmdline", "environ"):
            try:
                text = Path("/proc", number, what).read_bytes()
            except OSError:
                continue
            if what == "cmdline":
                watch.names.add(os.path.basename(text.split(b"\0")[0]).decode("utf-8", "replace"))
            watch.found += [f"{number}/{what}" for secret in secrets if secret in text]


@contextmanager
def watching(*secrets: str) -> Iterator[Watch]:
    """Look at every process, again and again, as long as the block lasts."""
    watch, over = Watch(), threading.Event()
    words = [word for secret in secrets for word in (secret.encode(), base64.b64encode(f"x-access-token:{secret}".encode()))]

    def go() -> None:
        while not over.is_set():
            look(watch, words)
            watch.rounds += 1

    thread = threading.Thread(target=go)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def files_with(folder: Path, secret: str) -> list[str]:
    done = subprocess.run(
        ["grep", "-rlaF", "-e", secret, "-e", base64.b64encode(secret.encode()).decode()[:-4], str(folder)], capture_output=True, text=True
    )
    return done.stdout.splitlines()


async def slowly(here: Hub) -> None:
    """The fetch and the push of a run, each held up so that there is time to look."""
    bare = here.bare.with_name("again")
    for kind in ("fetch", "push"):
        here.github.fail(kind, "silent")
        with pytest.raises(DomainError):
            await (here.fetch(bare) if kind == "fetch" else here.push())
    await here.fetch(bare)
    await here.git.checkout(bare, await here.fetch(bare), here.bare.with_name("tree"))
    await here.push()


async def test_no_process_no_file_and_no_log_shows_the_credential(tmp_path: Path) -> None:
    async with hub(tmp_path, hurried=True) as here:
        (secret,) = here.github.grants
        with structlog.testing.capture_logs() as logs, watching(secret) as watch:
            await slowly(here)
        assert branches(here.there)[BRANCH] == here.commit
        assert "git-remote-http" in watch.names, "nobody looked while git spoke to the forge"
        assert watch.rounds > 20
        assert watch.found == []
        assert files_with(tmp_path, secret) == []
        assert secret not in repr(logs)
        async with here.forge.remote(Access("acme/calc", secret)) as remote:
            assert secret not in repr(remote) + repr(Access("acme/calc", secret))
            assert remote.credentials
            assert (remote.credentials.parent.stat().st_mode & 0o777) == 0o700
        assert list((tmp_path / "credentials").iterdir()) == []


async def test_a_watch_sees_what_is_shown() -> None:
    with watching("shown-to-everybody") as watch:
        subprocess.run(["sleep", "0.3"], env={"TOKEN": "shown-to-everybody"}, check=True)
    assert watch.found


async def test_a_refused_credential_is_not_repeated(tmp_path: Path) -> None:
    async with hub(tmp_path) as here:
        (secret,) = here.github.grants
        with pytest.raises(DomainError) as refused:
            async with here.forge.remote(Access("acme/calc", secret)) as remote:
                here.github.grants.clear()
                await here.git.fetch(remote, "main", tmp_path / "job")
        assert refused.value.code == "REPO_DENIED"
        assert secret not in repr(refused.value) + repr(refused.value.details)


def ask(socket: Path, url: str, action: str = "fill") -> str:
    """What git is told, by git itself."""
    told = subprocess.run(
        ["git", "credential", action],
        input=f"url={url}\n\n",
        env=environment("https", credentials=socket),
        capture_output=True,
        text=True,
        timeout=20,
    )
    return told.stdout


async def secret() -> str:
    return SECRET


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (URL, True),
        ("https://user@github.com/acme/calc.git", True),
        ("https://evil.example/acme/calc.git", False),
        ("http://github.com/acme/calc.git", False),
        ("https://github.com:444/acme/calc.git", False),
        ("https://github.com/acme/other.git", False),
        ("https://github.com/", False),
    ],
)
async def test_git_is_told_the_credential_of_one_repository_and_no_other(tmp_path: Path, url: str, told: bool) -> None:
    async with credentials(tmp_path, URL, secret) as socket:
        said = await asyncio.to_thread(ask, socket, url)
    assert (SECRET in said) is told


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/a/b.git", "https://[::1]:8443/a/b.git", "https://ghe.example/api/a/b.git"])
async def test_any_host_and_port_are_known_again(tmp_path: Path, url: str) -> None:
    async with credentials(tmp_path, url, secret) as socket:
        assert SECRET in await asyncio.to_thread(ask, socket, url)
        assert SECRET not in await asyncio.to_thread(ask, socket, url.replace("/a/b", "/a/c"))


async def test_a_place_with_a_long_name_serves_too(tmp_path: Path) -> None:
    async with credentials(tmp_path / ("x" * 200) / "it's", URL, secret) as socket:
        assert SECRET in await asyncio.to_thread(ask, socket, URL)


async def test_git_stores_no_credential_and_leaves_no_daemon(tmp_path: Path) -> None:
    async with credentials(tmp_path, URL, secret) as socket:
        pass
    stored = f"protocol=https\nhost=github.com\npath=acme/calc.git\nusername=x\npassword={SECRET}\n\n"
    env = environment("https", credentials=socket)
    await asyncio.to_thread(subprocess.run, ["git", "credential", "approve"], input=stored, env=env, text=True, check=True, timeout=20)
    watch = Watch()
    look(watch, [])
    assert not any("credential-cache" in name for name in watch.names)
    assert not socket.exists()


@pytest.mark.parametrize("said", [b"", b"action=get", b"action=store\nprotocol=https\n", b"\xff\xfe\n=\n", b"x" * 100_000])
async def test_other_talk_is_answered_with_nothing(tmp_path: Path, said: bytes) -> None:
    async with credentials(tmp_path, URL, secret) as socket:
        reader, writer = await asyncio.open_unix_connection(str(socket))
        writer.write(said)
        writer.write_eof()
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        writer.close()


async def test_what_a_killed_service_left_is_swept_and_what_lives_is_kept(tmp_path: Path) -> None:
    async with credentials(tmp_path, URL, secret) as socket:
        dead = tmp_path / "dead"
        dead.mkdir()
        program = "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])"
        await asyncio.to_thread(subprocess.run, ["python3", "-c", program, str(dead / "credentials")], check=True)
        (tmp_path / "empty").mkdir()
        began = time.monotonic()
        await asyncio.to_thread(sweep, tmp_path)
        assert time.monotonic() - began < 20
        assert [place.name for place in tmp_path.iterdir()] == [socket.parent.name]
