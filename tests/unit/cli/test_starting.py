"""A service that starts before its bus: it tries again, says what it waits for, and gives up when its time is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from trunkline.bus import BusAway
from trunkline.contracts.errors import Unavailable, Unsupported
from trunkline_cli import starting
from trunkline_cli.starting import Patience

AWAY = Unavailable("no nats-server answers", code="NATS_UNREACHABLE")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "FIRST", 0.01)
    monkeypatch.setattr(starting, "LONGEST", 0.02)
    monkeypatch.setattr(starting, "SAID_EVERY", 0.03)


def refusing(times: int, error: Exception = AWAY) -> Callable[[], Awaitable[str]]:
    left = [error] * times

    async def begin() -> str:
        if left:
            raise left.pop()
        return "begun"

    return begin


async def test_what_is_not_there_yet_is_tried_again_and_said() -> None:
    said: list[str] = []
    assert await Patience("router", 30.0, said.append).until(refusing(5)) == "begun"
    assert said[0] == "router is not ready after 0 s: no nats-server answers. It tries again until 30 s are over."


async def test_a_bus_that_says_nothing_at_all_is_waited_for_aloud() -> None:
    said: list[str] = []
    heard = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        heard.set()

    await Patience("router", 30.0, say).until(heard.wait)
    assert said == ["router is not ready after 0 s: the bus has not answered yet."]


@pytest.mark.parametrize(
    ("within", "error"), [(0.0, AWAY), (30.0, Unsupported("no bubblewrap")), (30.0, Unavailable("not ours", code="FOREIGN_STREAM"))]
)
async def test_it_ends_when_its_time_is_over_and_at_once_where_nothing_would_change(within: float, error: Exception) -> None:
    begin = refusing(2, error)
    with pytest.raises(type(error), match=str(error)):
        await Patience("router", within, print).until(begin)
    with pytest.raises(type(error)):  # it was asked once
        await begin()


async def test_a_service_that_lost_the_bus_begins_anew_and_has_its_time_again() -> None:
    said: list[str] = []
    patience = Patience("relay", 0.0, said.append)
    lives = [BusAway("the bus does not answer", code="BUS_AWAY")]

    async def life() -> str:
        patience.switch.ready.set()
        patience.within = 30.0
        if lives:
            raise lives.pop()
        return "stopped"

    assert await patience.until(life) == "stopped"
    assert said == ["relay lost the bus: the bus does not answer. It begins anew."]


async def test_a_service_that_was_ready_or_is_told_to_stop_begins_no_other_life() -> None:
    ready, stopped = Patience("router", 30.0, print), Patience("router", 30.0, print)
    ready.switch.ready.set()
    for patience in (ready, stopped):
        begin = refusing(2)
        asyncio.get_running_loop().call_soon(stopped.switch.stop.set)
        with pytest.raises(Unavailable):
            await patience.until(begin)
        with pytest.raises(Unavailable):
            await begin()
