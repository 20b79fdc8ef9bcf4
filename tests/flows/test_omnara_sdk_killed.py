"""The real omnara client over connections that break and gateways that are killed between its tries: every message once, no answer lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.campaigns import LONG
from tests.flows.cutting import Way, way
from tests.flows.omnara_sdk import Sdk, needs_omnara, sdk
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.kill, pytest.mark.timeout(240), needs_omnara]

ANN = "a-key-of-ann-with-thirty-two-characters"
POSTS, KILLS = (500, 3) if LONG else (25, 1)
"""Posts of each of the two clients."""
AT_ONCE, ROUNDS, CONVERSATIONS = (5, 100, 2) if LONG else (5, 20, 1)
STUBBORN: dict[str, Any] = {"max_retries": 60, "backoff_factor": 0.001, "backoff_max": 0.5, "timeout": 10}
CHANCE = 0.15
BACK_WITHIN = 60.0


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack({"ORCHESTRATOR_API_KEY_ANN": f"{ANN}:agent"}) as started:
        yield started


@pytest.fixture(scope="module")
def broken(running: Stack) -> Iterator[Way]:
    with way(running.port) as made:
        yield made


@pytest.fixture(scope="module", params=["sync", "async"])
def agent(request: pytest.FixtureRequest, broken: Way) -> Iterator[Sdk]:
    with sdk(request.param, broken.url, ANN, **STUBBORN) as spoken:
        yield spoken


def said(running: Stack, instance: str) -> list[str]:
    """Everything in a conversation, the oldest first."""
    found: list[str] = []
    before = ""
    while True:
        _, page = running.ask("GET", f"/api/v1/agent-instances/{instance}/messages?limit=200{before}", bearer=ANN)
        found = [message["content"] for message in page] + found
        if len(page) < 200:
            return found
        before = f"&before_message_id={page[0]['id']}"


def tell(running: Stack, instance: str, text: str) -> None:
    body = {"agent_instance_id": instance, "content": text, "mark_as_read": False}
    assert running.ask("POST", "/api/v1/messages/user", body, ANN)[0] == 200


def until_back(running: Stack) -> None:
    deadline = time.monotonic() + BACK_WITHIN
    while not running.healthy():
        assert time.monotonic() < deadline, running.log()[-2000:]
        time.sleep(0.05)


def test_an_answer_that_is_cut_off_comes_again(running: Stack, broken: Way, agent: Sdk) -> None:
    instance = str(uuid4())
    first = agent.call("send_message", agent_type="claude", agent_instance_id=instance, content="one")
    tell(running, instance, "blue")
    broken.answers_to_cut = 2
    waiting = agent.call("get_pending_messages", agent_instance_id=instance, last_read_message_id=first["message_id"])
    assert ([message["content"] for message in waiting["messages"]], waiting["status"]) == (["blue"], "ok")
    broken.answers_to_cut = 2
    assert agent.call("send_message", agent_instance_id=instance, content="two")["queued_user_messages"] == []
    tell(running, instance, "green")
    broken.answers_to_cut = 1
    third = agent.call("send_message", agent_instance_id=instance, content="three")
    assert third["queued_user_messages"] == ["green"], "what waited was handed out with the answer that was lost"
    broken.answers_to_cut = 1
    assert agent.call("end_session", agent_instance_id=instance)["final_status"] == "COMPLETED"
    assert said(running, instance) == ["one", "blue", "two", "green", "three"]


@pytest.mark.parametrize("moment", ["instance_said.after_record", "instance_read.after_record"])
def test_a_gateway_that_is_killed_before_it_answers_changes_nothing(running: Stack, agent: Sdk, moment: str) -> None:
    instance = str(uuid4())
    first = agent.call("send_message", agent_type="claude", agent_instance_id=instance, content="one")
    tell(running, instance, "blue")
    running.arm(moment, "gateway")
    if moment.startswith("instance_said"):
        given = agent.call("send_message", agent_instance_id=instance, content="two")["queued_user_messages"]
    else:
        waiting = agent.call("get_pending_messages", agent_instance_id=instance, last_read_message_id=first["message_id"])
        given = [message["content"] for message in waiting["messages"]]
    assert given == ["blue"]
    assert not running.armed(moment), "nobody was killed"
    until_back(running)
    assert said(running, instance) == (["one", "blue", "two"] if moment.startswith("instance_said") else ["one", "blue"])


def test_over_cut_connections_and_killed_gateways_every_message_is_kept_once(running: Stack, broken: Way) -> None:
    instances = {kind: str(uuid4()) for kind in ("sync", "async")}
    wanted = [f"message {number}" for number in range(POSTS)]
    with sdk("sync", broken.url, ANN, **STUBBORN) as one, sdk("async", broken.url, ANN, **STUBBORN) as two:
        broken.chance, before = CHANCE, broken.cuts
        try:
            for text in wanted:
                for client, instance in zip((one, two), instances.values(), strict=True):
                    client.begin("send_message", agent_type="claude", agent_instance_id=instance, content=text)
            for number in range(POSTS):
                if number % (POSTS // (KILLS + 1)) == POSTS // (KILLS + 2):
                    running.kill("gateway")
                    until_back(running)
                for client in (one, two):
                    assert client.answer(60.0)["success"]
        finally:
            broken.chance = 0.0
    assert broken.cuts - before > POSTS // 10
    for instance in instances.values():
        assert said(running, instance) == wanted


def test_what_is_said_at_once_over_cut_connections_and_killed_gateways_is_kept_once(running: Stack, broken: Way) -> None:
    kills = {ROUNDS * number // (KILLS + 1) for number in range(1, KILLS + 1)}
    with sdk("async", broken.url, ANN, **STUBBORN) as agent:
        for instance in (str(uuid4()) for _ in range(CONVERSATIONS)):
            agent.call("send_message", agent_type="claude", agent_instance_id=instance, content="start")
            broken.chance, before = CHANCE, broken.cuts
            try:
                for number in range(ROUNDS):
                    texts = [f"{number}-{each}" for each in range(AT_ONCE)]
                    agent.begin_at_once("send_message", [{"agent_instance_id": instance, "content": text} for text in texts])
                    if number in kills:
                        running.kill("gateway")
                        until_back(running)
                    assert len({answer["message_id"] for answer in agent.answer(60.0)}) == AT_ONCE
            finally:
                broken.chance = 0.0
            assert broken.cuts > before
            kept = said(running, instance)
            assert sorted(kept) == sorted(["start", *(f"{number}-{each}" for number in range(ROUNDS) for each in range(AT_ONCE))])


def test_the_same_words_after_an_answer_are_another_message(running: Stack, agent: Sdk) -> None:
    instance, words = str(uuid4()), ["start", "tests fail", "mended", "tests fail", "mended", "tests pass"]
    for text in words:
        agent.call("send_message", agent_type="claude", agent_instance_id=instance, content=text)
    assert said(running, instance) == words


def test_the_sync_client_may_say_the_same_at_once_again(running: Stack) -> None:
    instance, words = str(uuid4()), ["start", "tests pass", "tests pass"]
    with sdk("sync", running.url, ANN) as agent:
        for text in words:
            agent.call("send_message", agent_type="claude", agent_instance_id=instance, content=text)
    assert said(running, instance) == words


def test_the_async_client_may_repeat_itself_by_connections_in_turn(running: Stack) -> None:
    instance, words = str(uuid4()), ["tests fail", "mended", "tests fail", "mended", "tests pass"]
    with sdk("async", running.url, ANN) as agent:
        agent.call("send_message", agent_type="claude", agent_instance_id=instance, content="start")
        agent.begin_at_once("send_message", [{"agent_instance_id": instance, "content": text} for text in "abc"])
        assert len(agent.answer()) == 3
        for text in words:
            agent.call("send_message", agent_instance_id=instance, content=text)
    assert said(running, instance)[4:] == words
