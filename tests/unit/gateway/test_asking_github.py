"""Who is asked about at GitHub by the settings, and how questions to it are kept few and short."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.contracts.errors import Invalid, NotFound, Unavailable
from trunkline.runtime.settings import load
from trunkline_gateway.settings import Settings
from trunkline_gateway.usecases.flights import AT_ONCE, WAITING, Flights


def settings(**environ: str) -> Settings:
    return load(Settings, environ=environ).settings


@pytest.mark.parametrize(
    ("forge", "guests", "asks"),
    [("local", "auto", False), ("github", "auto", True), ("local", "on", True), ("github", "off", False)],
)
def test_tokens_are_asked_about_where_github_is_the_forge_or_somebody_says_so(forge: str, guests: str, asks: bool) -> None:
    assert settings(TRUNKLINE_FORGE=forge, TRUNKLINE_GITHUB_GUESTS=guests).asks_github is asks


def test_pro_users_are_read_in_whatever_case() -> None:
    assert settings(TRUNKLINE_PRO_USERS="583231,@Octocat,github:7").pro_users == ("583231", "octocat", "github:7")


@pytest.mark.parametrize("name", ["a b", "github:x", "x" * 101, "ann@example.com"])
def test_what_names_nobody_cannot_be_pro(name: str) -> None:
    with pytest.raises(Invalid, match="PRO_USERS"):
        settings(TRUNKLINE_PRO_USERS=name)


async def test_many_who_want_to_know_the_same_ask_once() -> None:
    asked, may_answer = 0, asyncio.Event()

    async def question() -> int:
        nonlocal asked
        asked += 1
        await may_answer.wait()
        return asked

    async with Flights[int]("GitHub") as flights, asyncio.TaskGroup() as group:
        waiting = [group.create_task(flights.ask(b"same", question)) for _ in range(50)]
        await asyncio.sleep(0)
        may_answer.set()
    assert {task.result() for task in waiting} == {1}


async def test_whoever_leaves_takes_the_answer_from_nobody() -> None:
    may_answer = asyncio.Event()

    async def question() -> str:
        await may_answer.wait()
        return "yes"

    async with Flights[str]("GitHub") as flights, asyncio.TaskGroup() as group:
        leaves = group.create_task(flights.ask(b"same", question))
        stays = group.create_task(flights.ask(b"same", question))
        await asyncio.sleep(0)
        leaves.cancel()
        await asyncio.sleep(0)
        may_answer.set()
    assert (leaves.cancelled(), stays.result()) == (True, "yes")


async def test_a_refusal_is_told_to_each_as_its_own() -> None:
    async def question() -> str:
        raise NotFound("no", code="REPO_NOT_FOUND")

    async with Flights[str]("GitHub") as flights:
        for _ in range(2):
            with pytest.raises(NotFound) as told:
                await flights.ask(b"same", question)
            assert told.value.code == "REPO_NOT_FOUND"


async def test_few_are_asked_at_once_and_too_many_are_sent_away() -> None:
    at_once, most, may_answer = 0, 0, asyncio.Event()

    async def question() -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await may_answer.wait()
        at_once -= 1

    async with Flights[None]("GitHub", deadline_s=30) as flights:
        begun = [flights.begin(b"%d" % number, question) for number in range(WAITING)]
        with pytest.raises(Unavailable) as told:
            flights.begin(b"one more", question)
        assert told.value.code == "GITHUB_BUSY"
        await asyncio.sleep(0.01)
        may_answer.set()
        await asyncio.wait(begun, timeout=30)
    assert most == AT_ONCE


async def test_what_takes_too_long_is_unavailable_and_what_is_under_way_at_the_end_is_broken_off() -> None:
    async def question() -> None:
        await asyncio.sleep(3600)

    async with Flights[None]("GitHub", deadline_s=0.01) as flights:
        with pytest.raises(Unavailable) as told:
            await flights.ask(b"slow", question)
        assert (told.value.code, told.value.details["retry_after"]) == ("GITHUB_AWAY", 5)
    async with Flights[None]("GitHub") as flights:
        left = flights.begin(b"slow", question)
        await asyncio.sleep(0)
    assert left.cancelled()
