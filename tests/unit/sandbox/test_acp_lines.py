"""What the lines of a real opencode mean, over the Agent Client Protocol: recorded by running it against the scripted model server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.each import each
from tests.unit.sandbox.recorded import TASK, Recorded, versions
from trunkline.contracts.run import Said
from trunkline_sandbox.adapters.agents import acp_calls, acp_talk
from trunkline_sandbox.adapters.agents.acp_lines import hear
from trunkline_sandbox.adapters.agents.acp_talk import Voice
from trunkline_sandbox.adapters.agents.acp_texts import MOST
from trunkline_sandbox.adapters.agents.opencode import OpencodeOptions, opencode_agent
from trunkline_sandbox.adapters.agents.talking import MOST_ASKS
from trunkline_sandbox.adapters.model.keys import DoorKey
from trunkline_sandbox.model import AgentTask, Heard, Talk, Verdict
from trunkline_sandbox.ports import Line

LATER = AgentTask("What is it?", session="ses_dffee0410ffeZQIyR0tUc7KJfl")
TALK = Talk(session="s-1", ready=True, busy=True, notes=(("open:turn-1", "yes"),))
VOICE = Voice("opencode", "OPENAI")
(VERSION,) = versions("opencode")
RECORDED = Recorded("opencode", VERSION, acp_talk.opening, lambda line, talk: hear(line, talk, VOICE))
talks, heard, owed = RECORDED.talks, RECORDED.heard, RECORDED.owed


def once(body: object, talk: Talk = TALK) -> Heard:
    return hear(Line(7, json.dumps({"jsonrpc": "2.0", **body}).encode()), talk, VOICE)  # type: ignore[dict-item]


def update(**told: object) -> dict[str, object]:
    return {"method": "session/update", "params": {"sessionId": "s-1", "update": told}}


def chunk(text: str, whose: str = "msg_1", kind: str = "agent_message_chunk") -> dict[str, object]:
    return update(sessionUpdate=kind, messageId=whose, content={"type": "text", "text": text})


def permission(id: object, **call: object) -> dict[str, object]:
    options = [
        {"optionId": "yes-1", "kind": "allow_once"},
        {"optionId": "all", "kind": "allow_always"},
        {"optionId": "no-1", "kind": "reject_once"},
    ]
    return {"id": id, "method": "session/request_permission", "params": {"sessionId": "s-1", "toolCall": call, "options": options}}


def test_a_session_that_patches_a_file_reads_as_what_a_person_saw() -> None:
    said, ending = heard("edit")

    assert [(one.kind, one.tool, one.display) for one in said if one.kind is not Said.TOOL_RESULT] == [
        (Said.NOTICE, None, "opencode 1.18.33 with trunkline/gpt-5.5"),
        (Said.THINKING, None, "Look first."),
        (Said.MESSAGE, None, "Reading the file."),
        (Said.TOOL_CALL, "bash", """cat hello.py | grep '$x"y"' ; cat hello.py"""),
        (Said.TOOL_CALL, "apply_patch", "hello.py"),
        (Said.TOOL_CALL, "bash", "python3 hello.py; exit 3"),
        (Said.MESSAGE, None, "It says: hello"),
    ]
    assert (ending.ok, ending.summary) == (True, "It says: hello")


def test_a_result_names_its_call_comes_once_and_is_an_error_where_a_command_failed() -> None:
    said, _ = heard("edit")

    calls = [one.detail["id"] for one in said if one.kind is Said.TOOL_CALL]
    results = [one for one in said if one.kind is Said.TOOL_RESULT]
    assert [one.detail["id"] for one in results] == calls
    assert [one.is_error for one in results] == [False, False, True]


def test_the_task_is_told_once_the_conversation_stands() -> None:
    told = [json.loads(entry.data) for entry in owed("edit")]

    assert [(one["id"], one["method"]) for one in told] == [("hs-2", "session/new"), ("turn-1", "session/prompt")]
    assert told[-1]["params"]["prompt"] == [{"type": "text", "text": "Make it say hello."}]


def test_a_conversation_is_gone_on_with_and_forked_without_its_past_being_told_again() -> None:
    fork = AgentTask("Go.", session="ses_x", fork=True)
    resumed, forked = owed("resumed", LATER), owed("forked", fork)

    assert json.loads(resumed[0].data)["method"] == "session/resume"
    assert json.loads(forked[0].data)["method"] == "session/fork"
    assert [one.display for one in heard("forked", fork)[0] if one.kind is Said.MESSAGE] == ["Three."]


def test_a_program_that_cannot_resume_is_made_to_load() -> None:
    greeted = once({"id": "hs-1", "result": {"agentCapabilities": {"loadSession": True}}}, acp_talk.opening(LATER))

    assert json.loads(greeted.owed[0].data)["method"] == "session/load"


def test_calls_are_asked_about_with_all_that_rules_look_at() -> None:
    asks = list(dict.fromkeys((ask.id, ask.tool, ask.argument) for one in talks("asked") for ask in one.talk.asks))

    assert asks == [("0", "bash", "touch f1 && echo one"), ("1", "bash", "touch f2"), ("2", "apply_patch", "a.txt\nsrc/b.txt")]
    assert talks("asked")[-1].talk.asks == ()


def test_messages_are_seen_while_it_works_and_at_rest_and_the_turn_is_over_when_all_are_answered() -> None:
    all_talks = [one.talk for one in talks("steered")]

    assert (all_talks[-1].heard, all_talks[-1].turns) == (("m-1", "m-2"), 2)
    seen = next(talk for talk in all_talks if "m-1" in talk.heard)
    assert (seen.turns, seen.busy) == (0, True)


def test_a_message_that_was_answered_before_its_echo_begins_no_turn() -> None:
    over = once({"id": "turn-1", "result": {"stopReason": "end_turn"}}).talk
    answered = once({"id": "msg-m-1", "result": {"stopReason": "end_turn"}}, over).talk
    echoed = once({"id": "seen-msg-m-1", "result": {}}, answered).talk

    assert (echoed.busy, echoed.heard) == (False, ("m-1",))
    assert once({"id": "seen-msg-m-2", "result": {}}, echoed).talk.busy


@pytest.mark.parametrize(
    ("name", "code", "recoverable", "told"),
    [
        ("refused", "MODEL_AUTH_FAILED", False, "OPENAI_API_KEY"),
        ("bad_request", "MODEL_REQUEST_REFUSED", False, "scripted 400"),
        ("overloaded", "MODEL_UNAVAILABLE", True, "trying again later"),
        ("interrupted", "AGENT_INTERRUPTED", False, "interrupted"),
    ],
)
def test_a_turn_that_fails_says_why_and_whether_trying_again_helps(name: str, code: str, recoverable: bool, told: str) -> None:
    _, ending = heard(name)

    assert (ending.ok, ending.code, ending.recoverable) == (False, code, recoverable)
    assert told in ending.error


@pytest.mark.parametrize(("task", "code"), [(LATER, "AGENT_SESSION_LOST"), (TASK, "AGENT_FAILED")])
def test_a_conversation_that_cannot_begin_is_sent_home(task: AgentTask, code: str) -> None:
    assert heard("lost", task)[1].code == code
    assert owed("lost", task)[-1].close


@pytest.mark.parametrize("name", ["limited_once", "cut_once"])
def test_what_is_tried_again_does_no_harm(name: str) -> None:
    assert heard(name)[1].ok


@each("path", RECORDED.paths)
def test_nothing_that_opencode_says_is_strange_to_us(path: Path) -> None:
    assert not [said.display for one in talks(path.stem) for said in one.said if said.kind is Said.RAW]
    assert b"/tmp" not in path.read_bytes()


def test_a_text_that_comes_in_pieces_is_told_whole_when_something_else_happens() -> None:
    first, second = once(chunk("Hel")), None
    second = once(chunk("lo."), first.talk)
    third = once(update(sessionUpdate="tool_call", toolCallId="c", title="bash", status="pending"), second.talk)

    assert (first.said, second.said) == ((), ())
    assert [one.text for one in third.said] == ["Hello."]


def test_another_message_ends_the_one_before() -> None:
    first = once(chunk("One."))
    second = once(chunk("Two.", "msg_2"), first.talk)

    assert [one.text for one in second.said] == ["One."]


def test_a_long_text_is_told_in_parts_and_nothing_of_it_is_lost() -> None:
    talk, told = TALK, ""
    for number in range(3 * MOST // 100):
        one = once(chunk(f"{number:0100d}"), talk)
        talk, told = one.talk, told + "".join(said.text for said in one.said)
        assert sum(len(value) for _, value in talk.notes) < 2 * MOST
    over = once({"id": "turn-1", "result": {"stopReason": "end_turn"}}, talk)

    told += "".join(said.text for said in over.said)
    assert told == "".join(f"{number:0100d}" for number in range(3 * MOST // 100))


def test_a_line_of_five_mebibytes_is_heard_and_kept_in_bounds() -> None:
    written = update(sessionUpdate="tool_call_update", toolCallId="c", status="in_progress", rawInput={"content": "x" * (5 << 20)})

    (said,) = once(written).said
    assert (said.kind, len(said.text.encode())) == (Said.TOOL_CALL, 16 << 10)


def test_an_option_is_chosen_by_its_kind() -> None:
    talk = once(permission(0, toolCallId="c", title="bash", rawInput={"command": "ls"})).talk
    (ask,) = talk.asks

    outcomes = [
        json.loads(acp_calls.answer(talk, ask, Verdict(allowed)).data)["result"]["outcome"]["optionId"] for allowed in (True, False)
    ]
    assert outcomes == ["yes-1", "no-1"]


def test_a_question_without_the_option_that_is_wanted_is_cancelled() -> None:
    asked = permission(0, toolCallId="c", title="bash", rawInput={"command": "ls"})
    asked["params"]["options"] = []  # type: ignore[index]
    talk = once(asked).talk

    assert json.loads(acp_calls.answer(talk, talk.asks[0], Verdict(True)).data)["result"] == {"outcome": {"outcome": "cancelled"}}


def test_a_second_question_about_the_same_call_takes_the_place_of_the_first() -> None:
    call = {"toolCallId": "c", "title": "bash", "rawInput": {"command": "ls /"}}
    talk = once(permission(1, **call), once(permission(0, **call)).talk).talk

    assert [ask.id for ask in talk.asks] == ["1"]


def test_a_tool_is_known_by_the_name_of_its_call_and_else_by_its_kind() -> None:
    named = once(update(sessionUpdate="tool_call", toolCallId="c", title="bash", kind="execute", status="pending")).talk
    by_name = once(permission(0, toolCallId="c", title="ls -la /", kind="execute", rawInput={"command": "ls -la /"}), named).talk
    by_kind = once(permission(0, toolCallId="d", title="ls -la /", kind="execute", rawInput={"command": "ls -la /"})).talk

    assert (by_name.asks[0].tool, by_kind.asks[0].tool) == ("bash", "execute")


def test_whoever_interrupts_answers_what_is_asked() -> None:
    talk = once(permission(0, toolCallId="c", title="bash", rawInput={"command": "ls"})).talk

    cancel, answer = acp_talk.interruption(talk, "w-1")
    assert json.loads(cancel.data)["method"] == "session/cancel"
    assert (answer.id, json.loads(answer.data)["result"]) == ("answer-0", {"outcome": {"outcome": "cancelled"}})


def test_more_calls_than_anybody_can_rule_on_are_refused() -> None:
    talk = TALK
    for number in range(MOST_ASKS):
        talk = once(permission(number, toolCallId=f"c-{number}", title="bash", rawInput={"command": "ls"}), talk).talk
    over = once(permission(MOST_ASKS, toolCallId="more", title="bash", rawInput={"command": "ls"}), talk)

    assert len(over.talk.asks) == MOST_ASKS
    assert json.loads(over.owed[0].data)["result"]["outcome"]["optionId"] == "no-1"


def test_other_requests_and_other_sessions_change_nothing() -> None:
    reading = once({"id": 3, "method": "fs/read_text_file", "params": {"path": "/etc/passwd"}})
    other = once({"method": "session/update", "params": {"sessionId": "s-2", "update": {"sessionUpdate": "tool_call", "toolCallId": "c"}}})

    assert json.loads(reading.owed[0].data)["error"]["code"] == -32601
    assert (reading.talk, other) == (TALK, Heard(TALK))


def test_where_a_rule_could_say_no_opencode_has_no_sub_agents_for_what_they_ask_reaches_nobody(tmp_path: Path) -> None:
    program = tmp_path / "opencode"
    program.touch(mode=0o755)
    agent = opencode_agent(lambda _: DoorKey(tmp_path / "model.sock", "token"), OpencodeOptions(program=program))

    def permission(**asked: bool) -> dict[str, str]:
        configured: dict[str, dict[str, str]] = json.loads(agent.launch(AgentTask("x", **asked), "k").env["OPENCODE_CONFIG_CONTENT"])
        return configured["permission"]

    assert permission(supervised=True)["task"] == "deny"
    assert "task" not in permission()
