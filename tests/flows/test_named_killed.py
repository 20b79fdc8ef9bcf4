"""The sandbox service is killed while it makes a named sandbox; whoever comes after it makes exactly one, and leaves no other."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.campaigns import LONG
from trunkline.bus import Bus, BusSettings, connect
from trunkline.contracts.errors import DomainError
from trunkline.contracts.sandbox import EnsureSandbox, GetSandbox, SandboxStatus, SandboxView
from trunkline.runtime.clock import now
from trunkline.runtime.faults import DIRECTORY
from trunkline.runtime.ids import new_id
from trunkline.testing import warm
from trunkline.testing.nats import nats_server
from trunkline_sandbox.adapters.providers.local import LocalProvider

pytestmark = pytest.mark.flow
MOMENTS = ("named.wanted", "named.make.after_effect", "named.make.after_record")
"""Wanted, made, ready."""
MORE = ("named.make.before_effect", "named.make.made")
TRIED = MOMENTS + (MORE if LONG else ())


@contextmanager
def service(url: str, folder: Path) -> Iterator[warm.Forked]:
    faults = folder / "faults"
    faults.mkdir(exist_ok=True)
    settings = {"NATS_URL": url, "DATA_DIR": str(folder), "UNSAFE_LOCAL": "true", "LOG_LEVEL": "warning"}
    env = {**os.environ, **{f"TRUNKLINE_{name}": value for name, value in settings.items()}, DIRECTORY: str(faults)}
    with (folder / "log").open("ab") as log:
        process = warm.start(["trunkline_sandbox"], env, log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)


async def ready(bus: Bus, sandbox_id: str) -> SandboxView:
    deadline = time.monotonic() + 60
    while True:
        assert time.monotonic() < deadline, "nobody made it ready"
        try:
            accepted = await bus.commands.send("sandbox", "-", GetSandbox(tenant="acme", at=now(), sandbox_id=sandbox_id))
        except DomainError:
            continue
        view = SandboxView.model_validate(accepted.body)
        if view.status is SandboxStatus.READY:
            return view
        await asyncio.sleep(0.05)


async def test_killed_at_any_moment_it_makes_one_and_leaks_none(tmp_path: Path) -> None:
    made: set[str] = set()
    with nats_server() as server:
        async with connect(BusSettings(nats_url=server.url), "test") as bus:
            waiting = ""
            for moment in (*TRIED, ""):
                with service(server.url, tmp_path) as process:
                    if waiting:
                        assert (await ready(bus, waiting)).sandbox_id == waiting
                        made.add(waiting)
                    waiting = await _killed_at(bus, process, tmp_path / "faults" / moment) if moment else ""
        boxes = LocalProvider(tmp_path / "sandbox" / "boxes", unsafe=True)
        assert sorted(seen.id for seen in await boxes.seen()) == sorted(made) and len(made) == len(TRIED)


async def _killed_at(bus: Bus, process: warm.Forked, arming: Path) -> str:
    sandbox_id = f"sbx-{new_id()}"
    while not await bus.commands.ping("sandbox"):
        assert process.poll() is None, "the service does not start"
    arming.write_text("self")
    command = EnsureSandbox(tenant="acme", at=now(), sandbox_id=sandbox_id, user=sandbox_id, by="key")
    asking = asyncio.create_task(bus.commands.send("sandbox", "-", command, timeout=10))
    assert await asyncio.to_thread(process.wait, 30) == -signal.SIGKILL
    asking.cancel()  # the command was stored before anything was made of it
    return sandbox_id
