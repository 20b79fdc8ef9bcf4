"""The protocol of Codex as its own program describes it: everything we send is in it, and everything recorded was."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from tests.each import each
from trunkline_sandbox.adapters.agents import codex_asks, codex_talk
from trunkline_sandbox.adapters.agents.codex_lines import hear
from trunkline_sandbox.model import AgentTask, Ask, Entry, Verdict
from trunkline_sandbox.ports import Line

TESTS = Path(__file__).parents[1]
PINNED = sorted((TESTS / "contracts" / "codex").glob("*/schema.json"))
RECORDINGS = sorted((TESTS / "recordings" / "codex").glob("*/*.jsonl"))
TASKS = {
    "anew": AgentTask("Go."),
    "supervised": AgentTask("Go.", supervised=True),
    "gone on with": AgentTask("Go.", session="01a20010-0760-7760-abcf-39fc742542e3"),
    "forked": AgentTask("Go.", session="01a20010-0760-7760-abcf-39fc742542e3", fork=True),
}
ANSWERS = (
    {"id": "hs-1", "result": {}},
    {"id": "hs-2", "result": {"thread": {"id": "t-1"}}},
    {"id": "turn-1", "result": {"turn": {"id": "u-1"}}},
)
every_version = pytest.mark.parametrize("pinned", PINNED, ids=lambda path: path.parent.name)


@lru_cache
def validator(pinned: Path, name: str) -> Draft7Validator:
    schema = json.loads(pinned.read_text())
    return Draft7Validator({"$ref": f"#/definitions/{name}", **schema})


def entries(task: AgentTask) -> Iterator[Entry]:
    """Everything that a conversation is told from its beginning on."""
    talk = codex_talk.opening(task)
    yield Entry("hs-1", codex_talk.hello())
    for answer in ANSWERS:
        heard = hear(Line(1, json.dumps(answer).encode()), talk, "/workspace")
        talk = heard.talk
        yield from heard.owed
    yield codex_talk.saying(talk, "m-1", "More.")
    yield from codex_talk.interruption(talk, "w-1")
    over = {"method": "turn/completed", "params": {"threadId": "t-1", "turn": {"id": "u-1", "status": "interrupted"}}}
    yield from hear(Line(1, json.dumps(over).encode()), talk, "/workspace").owed


@every_version
@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_what_we_send_is_in_the_protocol(pinned: Path, task: AgentTask) -> None:
    told = [json.loads(entry.data) for entry in entries(task)]

    for message in told:
        validator(pinned, "ClientRequest" if "id" in message else "ClientNotification").validate(message)
        strict(pinned, message)
    assert len(told) >= 6


def strict(pinned: Path, message: Mapping[str, Any]) -> None:
    """A parameter that the protocol does not know would be dropped in silence."""
    schema = json.loads(pinned.read_text())["definitions"]
    for one in schema["ClientRequest"]["oneOf"]:
        if one["properties"]["method"]["enum"] == [message["method"]]:
            params = schema[one["properties"]["params"]["$ref"].removeprefix("#/definitions/")]
            assert set(message["params"]) <= set(params["properties"])


@every_version
@pytest.mark.parametrize("allowed", [True, False])
@pytest.mark.parametrize("name", ["CommandExecutionRequestApprovalResponse", "FileChangeRequestApprovalResponse"])
def test_what_we_answer_is_in_the_protocol(pinned: Path, allowed: bool, name: str) -> None:
    answer = json.loads(codex_asks.answer(Ask("0", "exec_command", {}, "ls"), Verdict(allowed)).data)

    validator(pinned, name).validate(answer["result"])


@each("path", RECORDINGS)
def test_what_was_recorded_is_in_the_protocol_of_its_version(path: Path) -> None:
    pinned = TESTS / "contracts" / "codex" / path.parent.name / "schema.json"
    checked = 0
    for line in path.read_text().splitlines():
        message = json.loads(line)
        name = "ServerRequest" if "id" in message else "ServerNotification"
        if message.get("method") in known(pinned, name):
            validator(pinned, name).validate(message)
            checked += 1

    assert checked or path.stem == "lost"


@lru_cache
def known(pinned: Path, name: str) -> frozenset[str]:
    schema = json.loads(pinned.read_text())["definitions"][name]
    return frozenset(method for one in schema["oneOf"] for method in one["properties"]["method"]["enum"])
