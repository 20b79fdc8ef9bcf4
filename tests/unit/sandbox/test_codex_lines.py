"""What the lines of a real Codex mean: recorded by running it against the scripted model server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.sandbox.recorded import Recorded, versions
from trunkline.contracts.run import Said, Usage
from trunkline_sandbox.adapters.agents import codex_asks, codex_talk
from trunkline_sandbox.adapters.agents.codex_lines import hear
from trunkline_sandbox.adapters.agents.shell_words import script, words
from trunkline_sandbox.adapters.agents.talking import MOST_ASKS
from trunkline_sandbox.model import AgentTask, Ask, Heard, Talk, Verdict
from trunkline_sandbox.ports import Line

TALK = Talk(session="t-1", ready=True, busy=True)
RECORDED = {
    version: Recorded("codex", version, codex_talk.opening, lambda line, talk: hear(line, talk, "/workspace"))
    for version in versions("codex")
}


@pytest.fixture(params=RECORDED)
def codex(request: pytest.FixtureRequest) -> Recorded:
    """Each version that was recorded."""
    return RECORDED[request.param]


def once(body: object, talk: Talk = TALK) -> Heard:
    return hear(Line(7, json.dumps(body).encode()), talk, "/workspace")


def command(id: object, text: str = "ls") -> dict[str, object]:
    return {"id": id, "method": codex_asks.COMMAND, "params": {"threadId": "t-1", "itemId": "c-1", "command": text, "cwd": "/workspace"}}


def test_a_session_that_patches_a_file_reads_as_what_a_person_saw(codex: Recorded) -> None:
    said, ending = codex.heard("edit")

    assert [(one.kind, one.tool, one.display) for one in said if one.kind is not Said.TOOL_RESULT][:-1] == [
        (Said.NOTICE, None, f"Codex {codex.version} with gpt-5.5"),
        (Said.THINKING, None, "Look first."),
        (Said.MESSAGE, None, "Reading the file."),
        (Said.TOOL_CALL, "exec_command", """cat hello.py | grep '$x"y"' ; cat hello.py"""),
        (Said.TOOL_CALL, "apply_patch", "hello.py"),
        (Said.TOOL_CALL, "exec_command", "python3 hello.py; exit 3"),
    ]
    assert said[-1].text.startswith("It says: ")
    assert (ending.ok, ending.usage) == (True, Usage(model="gpt-5.5", input_tokens=480, output_tokens=120))


def test_a_result_names_its_call_and_a_command_that_failed_is_an_error(codex: Recorded) -> None:
    said, _ = codex.heard("edit")

    calls = [one.detail["id"] for one in said if one.kind is Said.TOOL_CALL]
    results = [one for one in said if one.kind is Said.TOOL_RESULT]
    assert [one.detail["id"] for one in results] == calls
    assert [one.is_error for one in results] == [False, False, True]


def test_the_task_is_told_once_the_conversation_stands(codex: Recorded) -> None:
    told = codex.owed("edit")

    assert [entry.id for entry in told] == ["hs-ready", "hs-2", "turn-1"]
    assert json.loads(told[-1].data)["params"]["input"] == [{"type": "text", "text": "Make it say hello."}]
    assert not codex.talks("edit")[-1].talk.busy


def test_a_conversation_that_only_waits_for_what_comes_begins_no_turn(codex: Recorded) -> None:
    waiting = AgentTask("", session="01a20010-0760-7760-abcf-39fc742542e3")
    begun = [one.talk for one in codex.talks("resumed", waiting)][:4][-1]

    assert [entry.id for entry in codex.owed("resumed", waiting)][:2] == ["hs-ready", "hs-2"]
    assert (begun.ready, begun.busy) == (True, False)


def test_calls_are_asked_about_with_all_that_rules_look_at(codex: Recorded) -> None:
    asks = list(dict.fromkeys(ask for one in codex.talks("asked") for ask in map(_named, one.talk.asks)))

    assert asks == [
        ("0", "exec_command", "touch f1 && echo one"),
        ("1", "exec_command", "touch f2"),
        ("2", "apply_patch", "a.txt\nsrc/b.txt"),
    ]
    assert codex.talks("asked")[-1].talk.asks == ()


def test_a_patch_is_asked_about_with_its_whole_change(codex: Recorded) -> None:
    (ask,) = next(one.talk.asks for one in codex.talks("asked") if any(ask.tool == "apply_patch" for ask in one.talk.asks))

    assert ask.input["changes"] == [
        {"path": "/workspace/a.txt", "kind": {"type": "add"}, "diff": "x\n"},
        {"path": "/workspace/src/b.txt", "kind": {"type": "add"}, "diff": "x\n"},
    ]


def test_an_interrupt_takes_back_what_was_asked_and_ends_what_runs(codex: Recorded) -> None:
    assert codex.talks("asked_interrupted")[-1].talk.asks == ()
    assert any(entry.id.startswith("clean-") for entry in codex.owed("interrupted"))
    assert codex.heard("interrupted")[1].code == "AGENT_INTERRUPTED"


def test_messages_are_seen_when_codex_has_them_in_the_turn_under_way_and_in_one_of_their_own(codex: Recorded) -> None:
    all_talks = [one.talk for one in codex.talks("steered")]

    assert all_talks[-1].heard == ("task", "m-1", "m-2")
    assert all_talks[-1].turns == 2
    assert next(talk for talk in all_talks if "m-1" in talk.heard).turns == 0


def test_what_a_conversation_used_before_is_not_counted_again(codex: Recorded) -> None:
    assert codex.heard("resumed")[1].usage == codex.heard("forked")[1].usage == Usage(model="gpt-5.5", input_tokens=120, output_tokens=30)


def test_a_fork_has_a_name_of_its_own(codex: Recorded) -> None:
    origin = codex.talks("resumed")[-1].talk.session

    assert codex.talks("forked")[-1].talk.session not in ("", origin)


@pytest.mark.parametrize(
    ("name", "code", "recoverable", "told"),
    [
        ("refused", "MODEL_AUTH_FAILED", False, "OPENAI_API_KEY"),
        ("bad_request", "MODEL_REQUEST_REFUSED", False, "scripted 400"),
        ("quota", "MODEL_REQUEST_REFUSED", False, "Quota exceeded"),
        ("overloaded", "MODEL_UNAVAILABLE", True, "trying again later"),
        ("lost", "AGENT_SESSION_LOST", True, "begins a new one"),
    ],
)
def test_a_turn_that_fails_says_why_and_whether_trying_again_helps(
    codex: Recorded, name: str, code: str, recoverable: bool, told: str
) -> None:
    _, ending = codex.heard(name)

    assert (ending.ok, ending.code, ending.recoverable) == (False, code, recoverable)
    assert told in ending.error


@pytest.mark.parametrize("name", ["limited_once", "cut_once"])
def test_what_is_tried_again_is_told_and_does_no_harm(codex: Recorded, name: str) -> None:
    said, ending = codex.heard(name)

    assert ending.ok
    assert any(one.kind is Said.NOTICE and "Reconnecting" in one.text for one in said)


def test_a_conversation_that_cannot_begin_is_sent_home(codex: Recorded) -> None:
    assert codex.owed("lost", AgentTask("Go on.", session="s"))[-1].close


SCENES = [pytest.param(codex, path, id=f"{version}-{path.stem}") for version, codex in RECORDED.items() for path in codex.paths]


@pytest.mark.parametrize(("of_version", "path"), SCENES)
def test_nothing_that_codex_says_is_strange_to_us(of_version: Recorded, path: Path) -> None:
    all_heard = of_version.talks(path.stem)

    assert not [said.display for one in all_heard for said in one.said if said.kind is Said.RAW]
    assert b"/tmp" not in path.read_bytes()


def test_a_message_goes_into_the_turn_by_the_same_bytes_whenever_it_is_said() -> None:
    one = codex_talk.saying(TALK, "m-1", "Hello.")

    assert one == codex_talk.saying(TALK, "m-1", "Hello.")
    assert one.id == json.loads(one.data)["id"] == "msg-m-1"
    assert json.loads(one.data)["params"]["clientUserMessageId"] == "m-1"


def test_an_interrupt_names_the_turn_and_waits_for_its_name() -> None:
    begun = once({"id": "turn-1", "result": {"turn": {"id": "u-1"}}}).talk

    (entry,) = codex_talk.interruption(begun, "w-1")
    assert json.loads(entry.data)["params"] == {"threadId": "t-1", "turnId": "u-1"}
    assert codex_talk.interruption(TALK, "w-1") == ()


def test_the_answer_to_a_message_that_came_after_the_end_of_its_turn_begins_none() -> None:
    over = once({"method": "turn/completed", "params": {"threadId": "t-1", "turn": {"id": "u-1", "status": "completed"}}}).talk

    assert not once({"id": "msg-m-1", "result": {"turn": {"id": "u-1"}}}, over).talk.busy
    assert once({"id": "msg-m-1", "result": {"turn": {"id": "u-2"}}}, over).talk.busy


def test_a_message_that_is_refused_is_told_and_not_waited_for() -> None:
    refused = once({"id": "msg-m-1", "error": {"code": -32602, "message": "input too large"}})

    assert "m-1" in refused.talk.heard
    assert "input too large" in refused.said[0].text


def test_the_turns_of_other_threads_do_not_end_ours() -> None:
    other = {"method": "turn/completed", "params": {"threadId": "t-2", "turn": {"id": "u-9", "status": "completed"}}}

    assert once(other).talk == TALK


@pytest.mark.parametrize("id", [0, "r-1"])
def test_an_answer_goes_to_the_id_that_codex_gave_whatever_its_type(id: object) -> None:
    (ask,) = once(command(id)).talk.asks

    assert json.loads(codex_asks.answer(ask, Verdict(True)).data) == {"jsonrpc": "2.0", "id": id, "result": {"decision": "accept"}}
    assert json.loads(codex_asks.answer(ask, Verdict(False)).data)["result"] == {"decision": "decline"}


def test_other_requests_are_refused_at_once() -> None:
    asked = once({"id": 3, "method": "item/tool/requestUserInput", "params": {}})

    assert asked.talk.asks == ()
    assert json.loads(asked.owed[0].data)["error"]["code"] == -32601


def test_a_patch_of_which_nothing_is_known_is_refused() -> None:
    asked = once({"id": 3, "method": codex_asks.CHANGE, "params": {"threadId": "t-1", "itemId": "unknown"}})

    assert asked.talk.asks == ()
    assert json.loads(asked.owed[0].data)["error"]["code"] == -32601


def test_more_calls_than_anybody_can_rule_on_are_declined() -> None:
    talk = TALK
    for number in range(MOST_ASKS):
        talk = once(command(number), talk).talk
    over = once(command(MOST_ASKS), talk)

    assert len(over.talk.asks) == MOST_ASKS
    assert json.loads(over.owed[0].data)["result"] == {"decision": "decline"}


def test_a_moved_file_is_ruled_on_where_it_is_and_where_it_goes() -> None:
    changes = [{"path": "/workspace/a/../.env", "kind": {"type": "update", "move_path": "/etc/x"}, "diff": ""}]
    begun = once({"method": "item/started", "params": {"threadId": "t-1", "item": {"type": "fileChange", "id": "p", "changes": changes}}})
    asked = once({"id": 1, "method": codex_asks.CHANGE, "params": {"threadId": "t-1", "itemId": "p"}}, begun.talk)

    assert asked.talk.asks[0].argument == ".env\n/etc/x"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("/bin/bash -lc 'git push && ls'", "git push && ls"),
        ("/bin/sh -c ls", "ls"),
        ('/bin/bash -lc "echo \'a\' \\"\\$HOME\\" \\`x\\`"', "echo 'a' \"$HOME\" `x`"),
        ("/bin/bash -lc 'it'\"'\"'s'", "it's"),
        ("/workspace/bash -lc 'git status'", "/workspace/bash -lc 'git status'"),
        ("/bin/bash -lc 'a' 'b'", "/bin/bash -lc 'a' 'b'"),
        ("/bin/bash -lc 'open", "/bin/bash -lc 'open"),
        ("rm -rf /", "rm -rf /"),
    ],
)
def test_rules_look_at_what_the_systems_shell_is_given_and_at_the_whole_of_anything_else(command: str, told: str) -> None:
    assert script(command) == told


def test_words_are_those_of_a_shell() -> None:
    assert words("a  b'c d'\"e\\\"f\" g\\ h ''") == ["a", 'bc de"f', "g h", ""]
    assert words("'open") is None


def _named(ask: Ask) -> tuple[str, str, str]:
    return ask.id, ask.tool, ask.argument
