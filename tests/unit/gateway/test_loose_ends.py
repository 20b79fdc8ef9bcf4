"""Claims that could not be ended: how many are known, for how long, and that each is ended once the bus takes it."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.contracts.errors import Unavailable
from trunkline_gateway.adapters import loose_ends
from trunkline_gateway.adapters.loose_ends import ANSWER_AT_MOST, LooseEnd, LooseEnds
from trunkline_gateway.ports import Claim, Kept


def end(id: str, answer: bytes | None = None) -> LooseEnd:
    return LooseEnd(Claim(f"key-{id}", "digest", "seed", 1, id), answer=None if answer is None else Kept(201, answer, "text/plain"))


def test_of_too_many_the_newest_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose_ends, "MOST", 2)
    ends = LooseEnds(60.0)
    for id in "abc":
        ends.leave(end(id))
    assert [id for id in "abc" if ends.of(id)] == ["b", "c"]


def test_what_is_older_than_a_lease_is_forgotten() -> None:
    ends = LooseEnds(0.0)
    ends.leave(end("a"))
    ends.leave(end("b"))
    assert (ends.of("a"), ends.of("b") is not None) == (None, True)


def test_a_large_answer_is_not_held() -> None:
    ends = LooseEnds(60.0)
    for id, size in (("small", ANSWER_AT_MOST), ("large", ANSWER_AT_MOST + 1)):
        ends.leave(end(id, b"x" * size))
    known = {id: ends.of(id) for id in ("small", "large")}
    assert {id: one and one.answer is not None for id, one in known.items()} == {"small": True, "large": False}


async def test_each_is_tied_in_its_turn_as_often_as_it_takes_and_none_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loose_ends, "PAUSE", 0.0)
    ends, asked, done = LooseEnds(60.0), list[str](), asyncio.Event()

    async def one(each: LooseEnd) -> None:
        asked.append(each.claim.id)
        if asked.count("a") < 3:
            raise Unavailable("away")
        if each.claim.id == "b":
            raise RuntimeError("a defect")
        if each.claim.id == "c":
            done.set()

    for id in "abc":
        ends.leave(end(id))
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        tying = group.create_task(ends.tie(one))
        await done.wait()
        tying.cancel()
    assert asked == ["a", "a", "a", "b", "c"]
