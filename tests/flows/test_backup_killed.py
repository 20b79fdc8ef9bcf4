"""Restores that are killed at random: nobody starts on half of one, and the same command brings it to its end."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import campaigns
from trunkline.bus import BusSettings, connect, vault_key
from trunkline.bus.backing_up import back_up
from trunkline.bus.sealed_file import SealedWriter, new_file
from trunkline.bus.streams import UNFINISHED
from trunkline.bus.visiting import visiting
from trunkline.contracts.errors import Conflict
from trunkline.testing import warm
from trunkline.testing.nats import nats_server
from trunkline.testing.warm import Forked
from trunkline_cli.nats_place import own_server
from trunkline_cli.unfinished import refuse

pytestmark = [
    pytest.mark.flow,
    pytest.mark.kill,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not campaigns.LONG, reason="each try starts half a dozen programs; `make campaigns` does it"),
]

KEY = "k" * 43
TRIES = 100
ROOM = 1 << 30
Streams = dict[str, tuple[int, int]]
"""By name, how many messages and consumers."""


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a bus with nothing on it but what it always has, which is what takes the time."""
    file = tmp_path_factory.mktemp("backup") / "one.backup"
    file.with_name("key").write_text(KEY)
    with nats_server() as server:
        asyncio.run(_write(BusSettings(nats_url=server.url), file))
    return file


async def _write(settings: BusSettings, file: Path) -> None:
    async with connect(settings, "test"), visiting(settings) as visit:
        with new_file(file) as out:
            box = SealedWriter(out, vault_key(KEY))
            box.say({"backup": "one", "version": 1, "at": "2026-01-31T00:00:00+00:00"})
            box.end({"over": (await back_up(visit, box)).told()})


def begun(backup: Path, place: Path) -> Forked:
    words = ["trunkline_cli", "restore", str(backup), "--data-dir", str(place), "--key-file", str(backup.with_name("key"))]
    with backup.with_name("log").open("ab") as log:
        return warm.start(words, os.environ, log, backup.parent)


def killed(command: Forked, after: float) -> None:
    """It, or its nats-server under it, or both, or asked to end."""
    time.sleep(after)
    with suppress(psutil.Error):
        for child in psutil.Process(command.pid).children(recursive=True):
            if random.random() < 0.5:
                child.kill()
    command.send_signal(random.choice((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)))
    command.wait(30)


async def streams(place: Path) -> Streams:
    async with own_server(place, ROOM) as settings, visiting(settings) as visit:
        there = {str(each["config"]["name"]): int(each["state"]["messages"]) for each in await visit.streams()}
        return {name: (count, len(await visit.consumers(name))) for name, count in there.items()}


def is_refused(place: Path) -> bool:
    try:
        refuse(place)
    except Conflict as error:
        return error.code == UNFINISHED
    return False


def test_a_restore_that_was_killed_at_any_moment_is_brought_to_its_end_by_the_same_command(backup: Path, tmp_path: Path) -> None:
    assert begun(backup, tmp_path / "warm").wait(60) == 0
    began = time.monotonic()
    assert begun(backup, tmp_path / "whole").wait(60) == 0
    took, wanted = time.monotonic() - began, asyncio.run(streams(tmp_path / "whole"))
    for number in range(TRIES):
        place = tmp_path / str(number)
        for _ in range(random.randint(1, 3)):
            killed(begun(backup, place), random.uniform(0, took))
        assert is_refused(place) or asyncio.run(streams(place)) in ({}, wanted), "somebody could start on half of it"
        assert begun(backup, place).wait(60) == 0, backup.with_name("log").read_text()[-2000:]
        assert asyncio.run(streams(place)) == wanted
        shutil.rmtree(place)
