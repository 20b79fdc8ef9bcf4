"""Slots in a real loop: what is given back goes to whoever waits, line after line, and no more is remembered than was said."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from trunkline_relay.handlers import slots, wake_deliveries
from trunkline_relay.handlers.slots import Slots
from trunkline_relay.handlers.wake_deliveries import WakeDeliveries
from trunkline_relay.model.hosts import Key, Waiting
from trunkline_relay.model.lines import FAILURES, Sign

FOR_EVER = 1e12


def line(name: str, host: str = "hooks.example.com") -> Key:
    return Key("acme", f"wh_{name}", f"https://{host}/{name}")


def waiting(number: int) -> Waiting:
    return Waiting(f"dlv_{number}", 0, 0, FOR_EVER)


async def told(room: Slots, key: Key, sign: Sign = Sign.WELL) -> bool:
    async with room.of(key) as slot:
        if slot is not None:
            slot.sign = sign
        return slot is not None


async def test_a_slot_that_is_given_back_goes_to_those_who_wait_line_after_line() -> None:
    room, order = Slots(1, 10), list[str]()

    async def ask(name: str) -> None:
        async with room.of(line(name)) as slot:
            assert slot is not None
            slot.sign = Sign.WELL
            order.append(name)

    async with asyncio.TaskGroup() as group, room.of(line("a")):
        for name in ("a", "a", "a", "b"):
            group.create_task(ask(name))
        await asyncio.sleep(0)
    assert order == ["a", "b", "a", "a"]


async def test_when_the_first_answer_shows_that_a_webhook_is_quick_all_that_wait_for_it_begin() -> None:
    room, under_way, all_began = Slots(32, 100), list[int](), asyncio.Event()

    async def ask(number: int) -> None:
        async with room.of(line("a")) as slot:
            assert slot is not None
            slot.sign = Sign.WELL
            under_way.append(number)
            if len(under_way) == 32:
                all_began.set()
            if number:
                async with asyncio.timeout(30):
                    await all_began.wait()

    async with asyncio.TaskGroup() as group:
        for number in range(32):
            group.create_task(ask(number))


async def test_who_gave_up_or_was_cancelled_stands_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 0.01)
    room = Slots(1, 10)
    async with room.of(line("a")):
        assert not await told(room, line("a"))
        with suppress(TimeoutError):
            async with asyncio.timeout(0):
                await told(room, line("b"))
    assert await told(room, line("a"))
    assert await told(room, line("b"))


async def test_a_slot_that_is_given_back_as_whoever_waits_is_cancelled_goes_to_the_next() -> None:
    room, took = Slots(1, 10), list[str]()

    async def ask(name: str) -> None:
        if await told(room, line(name)):
            took.append(name)

    async with asyncio.TaskGroup() as group, room.of(line("a")):
        first, _ = group.create_task(ask("b")), group.create_task(ask("c"))
        await asyncio.sleep(0)
        first.cancel()
    assert took == ["c"]


async def test_a_slot_that_came_to_one_who_was_cancelled_at_that_moment_is_given_back() -> None:
    room = Slots(1, 10)
    async with asyncio.TaskGroup() as group:
        async with room.of(line("a")):
            waiting = group.create_task(told(room, line("b")))
            await asyncio.sleep(0)
        waiting.cancel()
    assert waiting.cancelled()
    assert await told(room, line("c"))


async def test_what_waits_is_woken_by_a_slot_that_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake_deliveries, "TICK", 1e6)
    room, woken = Slots(1, 10), asyncio.Queue[str]()

    async def deliver(turn: slots.Turn, slot: slots.Slot) -> None:
        await woken.put(turn.waiting.delivery_id)
        slot.sign = Sign.WELL
        room.give_back(slot)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(WakeDeliveries(room, deliver).run())
        async with room.of(line("a")):
            assert room.wait(line("a"), waiting(1))
            assert room.wait(line("b"), waiting(2))
            assert room.why_not(line("b"))
        async with asyncio.timeout(30):
            assert [await woken.get(), await woken.get()] == ["dlv_1", "dlv_2"]
        running.cancel()
    assert list(room.turns()) == []


async def test_no_more_lines_hosts_and_deliveries_are_remembered_than_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "MOST_LINES", 20)
    monkeypatch.setattr(slots, "MOST_WAITING", 5)
    room = Slots(4, 100)
    async with room.of(line("busy")):
        for number in range(200):
            assert await told(room, line(str(number)), Sign.SILENT)
            assert await told(room, line("in", f"host{number}.example.com"), Sign.SILENT)
            assert room.quick(line("asked", f"only{number}.example.com"))
        assert len(room._places) + sum(len(place.host.lines) for place in room._places.values()) <= 21
        for number in range(50):
            assert room.quick(line("asked", f"also{number}.example.com"))
        assert len(room._places) <= 21
        assert line("busy") in room._places["hooks.example.com:443"].host.lines
    assert [room.wait(line("a"), waiting(number)) for number in range(7)] == [True] * 5 + [False] * 2
    turns = [turn.waiting.delivery_id for turn, slot in room.turns() if room.give_back(slot) is None]
    assert turns == [f"dlv_{number}" for number in range(5)]
    assert room.wait(line("a"), waiting(9)), "and there is room again"


async def test_no_more_are_under_way_in_all_than_may_be() -> None:
    room = Slots(4, 2)
    quick, other = line("a"), line("b", "other.example.com")
    assert await told(room, quick)
    assert await told(room, other)
    async with room.of(quick), room.of(other) as second:
        assert second is not None
        assert room.wait(line("c"), waiting(1))
        assert list(room.turns()) == []
        assert room.why_not(line("c")) == "as many requests to subscribers are under way as may be"


async def test_a_quarter_of_all_is_left_to_those_that_give_it_back_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots, "PATIENCE", 0.0)
    room, quick = Slots(32, 16), line("quick")
    assert await told(room, quick)
    async with AsyncExitStack() as stack:
        begun = [await stack.enter_async_context(room.of(line("slow", f"slow{number}.example.com"))) for number in range(20)]
        assert sum(slot is not None for slot in begun) == 12
        assert room.why_not(line("new", "new.example.com")) == "as many requests to subscribers are under way as may be"
        assert room.wait(line("late", "late.example.com"), waiting(1))
        assert list(room.turns()) == [], "nor do those that waited take the last quarter"
        assert [await stack.enter_async_context(room.of(quick)) is not None for _ in range(5)] == [True] * 4 + [False]


async def test_where_all_slots_are_taken_each_host_that_waits_has_its_turn() -> None:
    room = Slots(4, 1)
    keys = [line("a", f"host{number}.example.com") for number in range(3)]
    for number, key in enumerate(keys * 2):
        assert room.wait(key, waiting(number))
    order = []
    for _ in range(6):
        [(turn, slot)] = room.turns()
        order.append(turn.key)
        room.give_back(slot)
    assert order == keys * 2


async def test_a_slot_given_back_twice_is_one_slot() -> None:
    room = Slots(1, 10)
    async with room.of(line("a")) as slot:
        assert slot is not None
        room.give_back(slot)
    for _ in range(FAILURES):
        assert await told(room, line("a"), Sign.ILL)
    assert not await told(room, line("a"))
    assert room.why_not(line("a")).startswith("its address failed five times")
