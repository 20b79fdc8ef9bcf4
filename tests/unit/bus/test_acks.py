"""Acknowledgements go out together, soon, and all of them."""

from __future__ import annotations

import asyncio

import pytest
from nats.aio.msg import Msg

from trunkline.bus import acks as module
from trunkline.bus.acks import MOST, Acks


class Wire:
    """Stands for the connection, which is away for a moment."""

    is_connected = False

    def __init__(self) -> None:
        self.said: list[str] = []
        self.heard = asyncio.Event()

    async def publish(self, subject: str, body: bytes) -> None:
        assert body == b""
        self.said.append(subject)
        self.heard.set()


def acks() -> tuple[Acks, Wire]:
    wire = Wire()
    return Acks(wire), wire  # type: ignore[arg-type]


def delivered(number: int) -> Msg:
    return Msg(None, reply=f"$JS.ACK.{number}")  # type: ignore[arg-type]


async def test_one_that_is_alone_goes_out_by_itself() -> None:
    gathering, wire = acks()
    await gathering.put(delivered(1))
    async with asyncio.timeout(10):
        await wire.heard.wait()
    assert wire.said == ["$JS.ACK.1"]


async def test_many_go_out_at_once_and_in_order() -> None:
    gathering, wire = acks()
    for number in range(MOST):
        await gathering.put(delivered(number))
    assert wire.said == [f"$JS.ACK.{number}" for number in range(MOST)]


async def test_what_waits_goes_out_at_the_end() -> None:
    gathering, wire = acks()
    await gathering.put(delivered(1))
    await gathering.flush()
    assert wire.said == ["$JS.ACK.1"]


async def test_what_was_passed_over_waits_for_longer_and_goes_along_with_what_was_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEISURE", 3600.0)
    gathering, wire = acks()
    await gathering.passed(delivered(1))
    await asyncio.sleep(module.GATHER * 3)
    assert wire.said == []
    await gathering.put(delivered(2))
    await gathering.passed(delivered(3))
    async with asyncio.timeout(10):
        await wire.heard.wait()
    assert wire.said == ["$JS.ACK.1", "$JS.ACK.2", "$JS.ACK.3"]


async def test_what_was_passed_over_goes_out_by_itself_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEISURE", 0.01)
    gathering, wire = acks()
    for number in (1, 2):
        wire.heard.clear()
        await gathering.passed(delivered(number))
        async with asyncio.timeout(10):
            await wire.heard.wait()
    assert wire.said == ["$JS.ACK.1", "$JS.ACK.2"]
