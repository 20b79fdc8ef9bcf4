"""What a transcript cannot say: texts of any size and kind, repeats, answers that were lost, and signs of life."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector

from tests.dialects.homes import ANN
from tests.dialects.omnara.stories import INSTANCE, TASK
from tests.dialects.world import World, served, talking
from trunkline.contracts.errors import Unavailable
from trunkline.contracts.instance import ReadInstance, SayAsInstance

SDK = {"User-Agent": "omnara-python-sdk"}
DIRECT = {**SDK, "Connection": "keep-alive"}
"""As the sync client says it, and no proxy passes it on."""
MESSAGE = "/api/v1/messages/agent"
PENDING = f"/api/v1/messages/pending?agent_instance_id={INSTANCE}"
HEARTBEAT = f"/api/v1/agents/instances/{INSTANCE}/heartbeat"


async def say(session: ClientSession, text: str, **more: Any) -> dict[str, Any]:
    """As the SDK does, of an instance that is made by it."""
    headers = more.pop("headers", {})
    asked = {"content": text, "agent_type": "claude", "agent_instance_id": INSTANCE, **more}
    async with session.post(MESSAGE, json=asked, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        said: dict[str, Any] = await answer.json()
        return said


async def tell(session: ClientSession, text: str) -> str:
    asked = {"content": text, "agent_instance_id": INSTANCE, "mark_as_read": False}
    async with session.post("/api/v1/messages/user", json=asked) as answer:
        return str((await answer.json())["message_id"])


async def pending(session: ClientSession, after: str, **headers: str) -> tuple[str, list[str]]:
    async with session.get(f"{PENDING}&last_read_message_id={after}", headers=headers) as answer:
        said = await answer.json()
        return said["status"], [message["content"] for message in said["messages"]]


async def shown(session: ClientSession) -> dict[str, Any]:
    async with session.get(f"/api/v1/agent-instances/{INSTANCE}") as answer:
        said: dict[str, Any] = await answer.json()
        return said


async def test_a_message_of_five_mebibytes_is_refused_before_it_is_read() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        body = {"content": "x" * (5 << 20), "agent_type": "claude", "agent_instance_id": INSTANCE}
        async with session.post(MESSAGE, json=body) as answer:
            assert (answer.status, list(await answer.json())) == (413, ["detail"])
    assert world.sent == []


@pytest.mark.parametrize("text", ["", " ", "x" * 200_000, "émigré 🦊\n\tIncluding 'quotes' & <tags>"])
async def test_a_message_may_be_any_text(text: str) -> None:
    async with talking(World(principal=ANN)) as session:
        await say(session, text)
        assert (await shown(session))["messages"][0]["content"] == text


DIFF = "diff --git a/ü.py b/ü.py\n+fixed\n"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (base64.b64encode(DIFF.encode()).decode(), DIFF), (DIFF, DIFF), ("", ""), ("/w==", "/w=="), ("+abc", "+abc"),
        ("not base64!", "not base64!"),
    ],
)  # fmt: skip
async def test_a_diff_comes_plain_or_in_base64(sent: str, kept: str) -> None:
    async with talking(World(principal=ANN)) as session:
        await say(session, "before", git_diff="diff --git a b\n")
        await say(session, "x", git_diff=sent)
        assert (await shown(session))["git_diff"] == kept


async def test_secrets_are_struck_before_anything_is_kept() -> None:
    world, secret = World(principal=ANN), "ghp_" + "0123456789abcdefghijklmnopqrstuvwxyz"
    async with talking(world) as session:
        coded = base64.b64encode(f"+token = {secret}\n".encode()).decode()
        await say(session, f"I found {secret}", git_diff=coded, message_metadata={"token": secret})
        await tell(session, f"use {secret}")
    assert secret not in repr((world.sent, world.events))


async def test_the_same_idempotency_key_is_the_same_message_and_another_is_another() -> None:
    async with talking(World(principal=ANN)) as session:
        first = await say(session, "tick", headers={"Idempotency-Key": "one"})
        assert await say(session, "tick", headers={"Idempotency-Key": "one"}) == first
        second = await say(session, "tick", headers={"Idempotency-Key": "two"})
        assert second["message_id"] != first["message_id"]
        assert len((await shown(session))["messages"]) == 2


async def test_words_come_again_by_another_connection_are_the_same_and_by_one_that_brought_their_answer_are_not() -> None:
    async with served(World(principal=ANN)) as gateway, ClientSession(gateway.url) as one:
        for text in ("tests pass", "mended", "tests pass"):
            await say(one, text)
        said: dict[str, list[str]] = {"linted": [], "committed": []}
        for _ in range(3):
            for text, ids in said.items():
                async with ClientSession(gateway.url) as another:
                    ids.append((await say(another, text))["message_id"])
        assert [len(set(ids)) for ids in said.values()] == [1, 1]
        kept = [each["content"] for each in (await shown(one))["messages"]]
        assert kept == ["tests pass", "mended", "tests pass", "linted", "committed"]


async def test_only_the_sdk_says_at_once_the_same_again_and_means_it_where_nothing_can_stand_between() -> None:
    sent = {"none": {}, "passed on": {**DIRECT, "X-Forwarded-For": "192.0.2.1"}, "silent": SDK, "closed": {**SDK, "Connection": "close"}}
    async with served(World(principal=ANN)) as gateway:
        for name, headers in {**sent, "direct": DIRECT}.items():
            async with ClientSession(gateway.url, headers=headers) as agent:
                ids = [(await say(agent, f"Done: {name}"))["message_id"] for _ in range(2)]
                assert len(set(ids)) == (2 if name == "direct" else 1), name


async def test_behind_a_proxy_that_closes_each_connection_what_was_said_at_once_is_kept_once() -> None:
    closing = TCPConnector(force_close=True)
    async with served(World(principal=ANN)) as gateway, ClientSession(gateway.url, headers=SDK, connector=closing) as proxy:
        ids = [(await say(proxy, text))["message_id"] for text in ("linted", "mended", "linted", "mended")]
        assert ids[:2] == ids[2:]


async def test_who_takes_turns_with_its_connections_may_repeat_itself() -> None:
    words = ["tests fail", "mended", "tests fail", "mended", "tests pass"]
    async with served(World(principal=ANN)) as gateway, ClientSession(gateway.url, headers=SDK) as agent:
        await asyncio.gather(*(say(agent, f"begun: {number}") for number in range(3)))
        for text in words:
            await say(agent, text)
        assert [each["content"] for each in (await shown(agent))["messages"]][3:] == words


async def test_an_answer_that_was_lost_is_given_again_to_the_sdk() -> None:
    world = World(principal=ANN)
    async with served(world) as gateway, ClientSession(gateway.url) as people:
        async with ClientSession(gateway.url, headers=SDK) as agent:
            after = (await say(agent, "What now?", requires_user_input=True))["message_id"]
            await tell(people, "Go on")
            assert await pending(agent, after) == ("ok", ["Go on"])
        for _ in range(2):  # the connection that it was answered by is gone, and it asks from the same place
            async with ClientSession(gateway.url, headers=SDK, connector=TCPConnector(force_close=True)) as agent:
                assert await pending(agent, after) == ("ok", ["Go on"])
        async with ClientSession(gateway.url, headers={**SDK, "Via": "1.1 proxy"}) as proxy:
            for _ in range(2):
                assert await pending(proxy, after) == ("ok", ["Go on"]), "whose connection was lost then, nobody here knows"


async def test_whoever_holds_its_connection_has_the_answer_and_another_is_stale() -> None:
    world = World(principal=ANN)
    async with served(world) as gateway, ClientSession(gateway.url, headers=SDK) as agent, ClientSession(gateway.url) as people:
        after = (await say(agent, "What now?", requires_user_input=True))["message_id"]
        await tell(people, "Go on")
        assert await pending(agent, after) == ("ok", ["Go on"])
        assert await pending(agent, after) == ("stale", [])
        assert await pending(people, after) == ("stale", []), "no SDK asks so"
    said = [wish for wish in world.sent if isinstance(wish, ReadInstance)]
    assert [wish.again for wish in said] == [True, False, False], "of the first nobody here knows what came before it"


async def test_whoever_calls_gives_a_sign_of_life_and_not_more_often_than_tells_something() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        for number in range(4):
            await say(session, f"step {number}")  # a second passes with each
        assert [task for task, _ in world.home.beats.put_there] == [TASK]
        async with session.post(HEARTBEAT, headers={"Content-Type": "application/json"}) as answer:
            assert (await answer.json())["agent_instance_id"] == INSTANCE
            assert world.home.beats.hearts == [False, True], "what was a call is none"
        await say(session, "step 5")
    assert len(world.home.beats.put_there) <= 3
    assert not any(isinstance(wish, ReadInstance) for wish in world.sent), "a heartbeat of one that is known asks nobody"


async def test_a_heartbeat_of_one_that_nobody_here_knows_asks_its_owner_once() -> None:
    world = World(principal=ANN)
    async with served(world) as gateway, ClientSession(gateway.url) as session:
        await say(session, "begun")
    async with served(world) as gateway, ClientSession(gateway.url) as session:  # another gateway
        for _ in range(3):
            async with session.post(HEARTBEAT) as answer:
                assert answer.status == 200
    assert sum(isinstance(wish, ReadInstance) for wish in world.sent) == 1


async def test_while_the_owner_is_away_nothing_is_taken() -> None:
    world = World(principal=ANN, refusal=Unavailable("the router service does not answer", code="NO_OWNER"))
    async with talking(world) as session, session.post(MESSAGE, json={"content": "x", "agent_instance_id": INSTANCE}) as answer:
        assert (answer.status, await answer.json()) == (503, {"detail": "the router service does not answer"})
        assert answer.headers["Retry-After"]


async def test_twenty_posts_at_once_of_one_message_are_one_message() -> None:
    world = World(principal=ANN)
    async with talking(world) as session:
        await say(session, "before")
        said = await asyncio.gather(*(say(session, "now") for _ in range(20)))
        assert len({each["message_id"] for each in said}) == 1
        assert [message["content"] for message in (await shown(session))["messages"]] == ["before", "now"]
    assert sum(isinstance(wish, SayAsInstance) for wish in world.sent) == 21


@pytest.mark.parametrize("characters", [65_536, 200_000])
async def test_a_payload_beyond_what_github_takes_is_refused_here(characters: int) -> None:
    world = World(principal=ANN)
    asked = {"owner": "acme", "repo": "shop", "prompt": "x" * characters}
    async with talking(world) as session, session.post("/api/v1/github/dispatches", json=asked) as answer:
        assert answer.status == 422
        assert "65535 bytes" in (await answer.json())["detail"]
    assert world.sent == []
