"""The real omnara client, unmodified, sync and async, through whole conversations on the whole product."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.flows.omnara_sdk import Refused, Sdk, needs_omnara, sdk
from trunkline.contracts.ids import uuid_hex
from trunkline.testing.stack import ONE_PROCESS, Stack, stack
from trunkline_cli.__main__ import main

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120), needs_omnara]

ANN, BOB, CAROL = (f"a-key-of-{name}-with-thirty-two-characters" for name in ("ann", "bob", "carol"))
KEYS = {
    "ORCHESTRATOR_API_KEY_ANN": f"{ANN}:agent",
    "ORCHESTRATOR_API_KEY_BOB": f"{BOB}:agent",
    "ORCHESTRATOR_API_KEY_CAROL": f"{CAROL}:admin",
}
ANSWER_WITHIN = 10.0
SOON: dict[str, Any] = {"timeout_minutes": 1, "poll_interval": 0.05}


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(KEYS, *ONE_PROCESS) as started:
        yield started


@pytest.fixture(scope="module", params=["sync", "async"])
def agent(request: pytest.FixtureRequest, running: Stack) -> Iterator[Sdk]:
    with sdk(request.param, running.url, ANN) as spoken:
        yield spoken


@pytest.fixture(scope="module")
def bob(running: Stack) -> Iterator[Sdk]:
    with sdk("sync", running.url, BOB) as spoken:
        yield spoken


def shown(running: Stack, instance: str) -> dict[str, Any]:
    status, view = running.ask("GET", f"/api/v1/agent-instances/{instance}", bearer=ANN)
    assert status == 200, view
    return dict(view)


def until(running: Stack, instance: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + ANSWER_WITHIN
    while not fits(view := shown(running, instance)):
        assert time.monotonic() < deadline, view
        time.sleep(0.02)
    return view


def asking(running: Stack, instance: str) -> dict[str, Any]:
    return until(running, instance, lambda view: view["status"] == "AWAITING_INPUT")


def question(running: Stack, view: dict[str, Any]) -> str:
    """The approval by which the newest message of an instance may be answered, as soon as it is opened."""
    approval = f"approval_{uuid_hex(view['id'])}_q{uuid_hex(view['messages'][-1]['id'])}"
    deadline = time.monotonic() + ANSWER_WITHIN
    while requests.get(f"{running.url}/approvals/{approval}", headers={"X-API-Key": CAROL}, timeout=10).status_code != 200:
        assert time.monotonic() < deadline, "no approval was opened for the question"
        time.sleep(0.02)
    return approval


def by_user_message(running: Stack, view: dict[str, Any]) -> None:
    said = {"agent_instance_id": view["id"], "content": "blue", "mark_as_read": False}
    assert running.ask("POST", "/api/v1/messages/user", said, ANN)[0] == 200


def by_the_orchestrator(running: Stack, view: dict[str, Any]) -> None:
    where = f"{running.url}/approvals/{question(running, view)}/approve"
    answer = requests.post(where, json={"answer": "blue"}, headers={"X-API-Key": CAROL}, timeout=10)
    assert answer.status_code == 200, answer.text


def by_the_command_line(running: Stack, view: dict[str, Any]) -> None:
    there = ["--url", running.url, "--data-dir", str(running.folder / "data")]
    assert main(["approve", question(running, view), "--answer", "blue", *there]) == 0


def test_a_conversation_from_the_first_word_to_the_last(running: Stack, agent: Sdk) -> None:
    instance = str(uuid4())
    made = agent.call("register_agent_instance", agent_type="claude", agent_instance_id=instance, name="mend the login")
    assert (made["agent_instance_id"], made["status"], made["agent_type_name"]) == (instance, "ACTIVE", "claude")
    first = agent.call("send_message", agent_instance_id=instance, content="I read the code.")
    assert first["success"] and first["queued_user_messages"] == []
    by_user_message(running, {"id": instance})
    second = agent.call("send_message", agent_instance_id=instance, content="I mend it.", git_diff="diff --git a/x b/x\n+ö\n")
    assert second["queued_user_messages"] == ["blue"]
    assert agent.call("end_session", agent_instance_id=instance)["final_status"] == "COMPLETED"
    view = shown(running, instance)
    assert [message["content"] for message in view["messages"]] == ["I read the code.", "blue", "I mend it."]
    assert (view["status"], view["git_diff"], view["name"]) == ("COMPLETED", "diff --git a/x b/x\n+ö\n", "mend the login")
    assert agent.call("end_session", agent_instance_id=instance)["success"], "said twice, it is the same end"


@pytest.mark.parametrize("answered", [by_user_message, by_the_orchestrator, by_the_command_line])
def test_a_question_is_answered_wherever_somebody_sees_it(running: Stack, agent: Sdk, answered: Callable[[Stack, Any], None]) -> None:
    instance = str(uuid4())
    agent.begin("send_message", agent_type="claude", agent_instance_id=instance, content="Which?", requires_user_input=True, **SOON)
    until_known(running, instance)
    answered(running, asking(running, instance))
    begun = time.monotonic()
    assert agent.answer(ANSWER_WITHIN)["queued_user_messages"] == ["blue"]
    assert time.monotonic() - begun < 6, "two seconds, on a machine with others"
    assert shown(running, instance)["status"] == "ACTIVE"


def until_known(running: Stack, instance: str) -> None:
    deadline = time.monotonic() + ANSWER_WITHIN
    while running.ask("GET", f"/api/v1/agent-instances/{instance}", bearer=ANN)[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_input_is_asked_for_on_a_message_that_was_said_before_and_once(running: Stack, agent: Sdk) -> None:
    said = agent.call("send_message", agent_type="claude", content="I could use tabs.")
    agent.begin("request_user_input", message_id=said["message_id"], **SOON)
    by_user_message(running, asking(running, said["agent_instance_id"]))
    assert agent.answer(ANSWER_WITHIN) == ["blue"]
    with pytest.raises(Refused) as twice:
        agent.call("request_user_input", message_id=said["message_id"], **SOON)
    assert twice.value.status == 400
    with pytest.raises(Refused) as unknown:
        agent.call("request_user_input", message_id=str(uuid4()), **SOON)
    assert unknown.value.status == 404


def test_registering_again_finds_the_instance(agent: Sdk) -> None:
    instance = str(uuid4())
    first = agent.call("register_agent_instance", agent_type="claude", agent_instance_id=instance)
    agent.call("update_agent_instance_status", agent_instance_id=instance, status="paused")
    again = agent.call("register_agent_instance", agent_type="claude", agent_instance_id=instance)
    assert (again["agent_instance_id"], again["agent_type_id"], again["status"]) == (instance, first["agent_type_id"], "PAUSED")


def test_a_reader_that_others_overtook_is_told_so(running: Stack, agent: Sdk) -> None:
    first = agent.call("send_message", agent_type="claude", content="one")
    instance = first["agent_instance_id"]
    agent.call("send_message", agent_instance_id=instance, content="two")
    stale = agent.call("get_pending_messages", agent_instance_id=instance, last_read_message_id=first["message_id"])
    assert (stale["status"], stale["messages"]) == ("stale", [])
    by_user_message(running, {"id": instance})
    waiting = agent.call("get_pending_messages", agent_instance_id=instance)
    assert [(message["content"], message["sender_type"]) for message in waiting["messages"]] == [("blue", "USER")]
    told = agent.call("send_user_message", agent_instance_id=instance, content="read already")
    assert told["success"] and told["marked_as_read"]


def test_what_is_wrong_is_refused_in_words_the_client_shows(running: Stack, agent: Sdk) -> None:
    mine = agent.call("send_message", agent_type="claude", content="mine")["agent_instance_id"]
    with pytest.raises(Refused) as unknown:
        agent.call("send_message", agent_instance_id=str(uuid4()), content="who am I?")
    assert unknown.value.status == 400 and unknown.value.detail
    with pytest.raises(Refused) as word:
        agent.call("update_agent_instance_status", agent_instance_id=mine, status="thinking")
    assert word.value.status == 400


def test_what_is_anothers_is_refused(running: Stack, agent: Sdk, bob: Sdk) -> None:
    mine = agent.call("send_message", agent_type="claude", content="mine")["agent_instance_id"]
    for name, given, status in (("send_message", {"content": "mine now"}, 400), ("register_agent_instance", {"agent_type": "claude"}, 403)):
        with pytest.raises(Refused) as refused:
            bob.call(name, agent_instance_id=mine, **given)
        assert refused.value.status == status, name
    assert [message["content"] for message in shown(running, mine)["messages"]] == ["mine"]


def test_a_key_that_nobody_made_opens_nothing(running: Stack) -> None:
    with sdk("async", running.url, "omni_key_made_up") as stranger, pytest.raises(Refused) as nobody:
        stranger.call("send_message", agent_type="claude", content="hello")
    assert nobody.value.kind == "AuthenticationError"
