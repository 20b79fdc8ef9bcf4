"""Acknowledgements go out together, soon, and all of them."""

from __future__ import annotations

import asyncio

from nats.aio.msg import Msg

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
