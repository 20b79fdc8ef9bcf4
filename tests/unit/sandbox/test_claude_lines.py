"""What the lines of a real Claude Code mean: recorded by running it against the scripted model server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.each import each
from trunkline.contracts.run import AgentOutput, Said, Usage
from trunkline_sandbox.adapters.agents.claude_control import permission
from trunkline_sandbox.adapters.agents.claude_hook import unfit, watching
from trunkline_sandbox.adapters.agents.claude_lines import hear
from trunkline_sandbox.adapters.agents.talking import MOST_ASKS
from trunkline_sandbox.model import AgentTask, Ending, Heard, Talk, Verdict
from trunkline_sandbox.ports import Line

RECORDINGS = sorted((Path(__file__).parents[2] / "recordings" / "claude").glob("*/*.jsonl"))
BY_NAME = {path.stem: path for path in RECORDINGS}
OPENING = Talk(ready=True, busy=True)


def talks(name: str, talk: Talk = OPENING) -> list[Heard]:
    """What was heard line by line."""
    all_heard: list[Heard] = []
    for number, data in enumerate(BY_NAME[name].read_bytes().splitlines(), 1):
        all_heard.append(hear(Line(number, data), all_heard[-1].talk if all_heard else talk, "/workspace"))
    return all_heard


def heard(name: str) -> tuple[list[AgentOutput], Ending]:
    all_heard = talks(name)
    ending = all_heard[-1].talk.ending
    assert ending is not None
    return [said for one in all_heard for said in one.said], ending


def once(body: object, talk: Talk = OPENING) -> Heard:
    return hear(Line(7, json.dumps(body).encode()), talk, "/workspace")


def test_a_session_that_edits_a_file_reads_as_what_a_person_saw() -> None:
    said, ending = heard("edit")

    assert [(one.kind, one.tool, one.display) for one in said if one.kind is not Said.TOOL_RESULT] == [
        (Said.NOTICE, None, "Claude Code 2.1.329 with claude-opus-5-5"),
        (Said.THINKING, None, "Look first."),
        (Said.MESSAGE, None, "Reading the file."),
        (Said.TOOL_CALL, "Read", "hello.py"),
        (Said.TOOL_CALL, "Edit", "hello.py"),
        (Said.TOOL_CALL, "Bash", "python3 hello.py"),
        (Said.TOOL_CALL, "Grep", "hello"),
        (Said.MESSAGE, None, said[-1].display),
    ]
    assert ending.ok
    assert ending.usage == Usage(model="claude-opus-5-5", input_tokens=800, output_tokens=84, cost_usd=0.00393)
    assert ending.summary.startswith("It says: ")


def test_a_tool_result_names_the_call_it_answers() -> None:
    said, _ = heard("edit")

    calls = [one.detail["id"] for one in said if one.kind is Said.TOOL_CALL]
    results = [one.detail["id"] for one in said if one.kind is Said.TOOL_RESULT]

    assert results == calls


def test_outputs_keep_the_number_of_the_line_they_came_from() -> None:
    said, _ = heard("edit")

    assert [one.line for one in said] == sorted(one.line for one in said)


def test_a_failed_tool_is_an_error_and_the_run_goes_on() -> None:
    said, ending = heard("tool_error")

    assert [one.is_error for one in said if one.kind is Said.TOOL_RESULT] == [True, True, True]
    assert ending.ok


@each(
    ("recording", "ok", "code", "recoverable"),
    [
        ("edit", True, "", False),
        ("denied", True, "AGENT_DENIED", False),
        ("overloaded_once", True, "", False),
        ("connection_cut_once", True, "", False),
        ("credential_refused", False, "MODEL_AUTH_FAILED", False),
        ("credential_refused_at_once", False, "MODEL_AUTH_FAILED", False),
        ("bad_request", False, "MODEL_REQUEST_REFUSED", False),
        ("overloaded", False, "MODEL_UNAVAILABLE", True),
        ("connection_cut_always", False, "MODEL_UNAVAILABLE", True),
        ("max_turns", False, "AGENT_TURN_LIMIT", False),
        ("budget", False, "AGENT_BUDGET", False),
    ],
)
def test_the_ending_is_what_the_result_line_means(recording: str, ok: bool, code: str, recoverable: bool) -> None:
    _, ending = heard(recording)

    assert (ending.ok, ending.code, ending.recoverable) == (ok, code, recoverable)
    assert bool(ending.error) is bool(code)


def test_a_retry_at_the_model_is_a_notice() -> None:
    said, _ = heard("overloaded_once")

    notices = [one.text for one in said if one.kind is Said.NOTICE]

    assert any("answered 529" in text and "retry 1 of 10" in text for text in notices)


def test_a_refused_credential_is_known_before_claude_code_gives_up() -> None:
    first_retry = {"type": "system", "subtype": "api_retry", "attempt": 1, "max_retries": 10, "error_status": 401, "error": "x"}

    ending = once(first_retry).talk.ending

    assert ending is not None
    assert (ending.ok, ending.code) == (False, "MODEL_AUTH_FAILED")
    assert "ANTHROPIC_API_KEY" in ending.error


def test_budget_spent_is_counted_though_the_short_usage_says_nothing() -> None:
    _, ending = heard("budget")

    assert ending.usage.output_tokens == 12


def test_the_order_of_keys_does_not_matter() -> None:
    for path in RECORDINGS:
        for data in path.read_bytes().splitlines():
            body = json.loads(data)
            turned = dict(reversed(body.items()))
            assert hear(Line(7, data), OPENING, "/workspace") == once(turned)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "result"},
        {"type": "result", "subtype": "success"},
        {"type": "result", "subtype": "success", "is_error": "no"},
        {"type": "result", "subtype": "error_during_execution", "is_error": False},
        {"type": "result", "subtype": "success", "is_error": None, "terminal_reason": "completed"},
    ],
)
def test_a_result_that_does_not_plainly_say_success_is_a_failure(body: dict[str, object]) -> None:
    ending = once(body).talk.ending

    assert ending is not None
    assert not ending.ok


def test_lines_of_unknown_types_pass_as_they_came_within_bounds() -> None:
    (said,) = once({"type": "hologram", "body": "x" * 100_000}).said

    assert said.kind is Said.RAW
    assert said.display == "a line of type hologram"
    assert said.text.startswith('{"type": "hologram"')
    assert len(said.text.encode()) <= 4096


def test_a_line_of_five_mebibytes_is_read_and_shortened() -> None:
    input = {"file_path": "/workspace/big.txt", "content": "ä" * (5 << 20)}
    block = {"type": "tool_use", "id": "t1", "name": "Write", "input": input}

    (said,) = once({"type": "assistant", "message": {"content": [block]}}).said

    assert (said.tool, said.display) == ("Write", "big.txt")
    assert len(said.text.encode()) <= 16 << 10
    assert said.text.endswith("…")


def test_half_a_line_is_raw_and_says_how_much_is_missing() -> None:
    (said,) = hear(Line(1, b'{"type":"assistant","message":{"con', cut=9000), OPENING, "/workspace").said

    assert said.kind is Said.RAW
    assert said.detail == {"cut_bytes": 9000}


def test_what_claude_code_writes_to_stderr_is_kept_for_the_sentence_of_a_failure() -> None:
    one = hear(Line(1, b"\x1b[31mError:\x1b[0m no such model", stderr=True), OPENING, "/workspace")

    assert one.said[0].detail == {"stream": "stderr"}
    ending = one.talk.ending
    assert ending is not None
    assert (ending.ok, ending.code, ending.error) == (False, "", "Error: no such model")


def test_stderr_after_the_result_does_not_change_the_ending() -> None:
    known = Talk(ending=Ending(ok=True, summary="done"))

    assert hear(Line(9, b"late warning", stderr=True), known, "/workspace").talk == known


def test_a_message_of_a_sub_agent_names_its_parent() -> None:
    block = {"type": "tool_use", "id": "t2", "name": "Read", "input": {"file_path": "/etc/hosts"}}

    (said,) = once({"type": "assistant", "parent_tool_use_id": "t1", "message": {"content": [block]}}).said

    assert said.detail == {"id": "t2", "parent": "t1"}
    assert said.display == "/etc/hosts"


def test_a_call_that_is_asked_about_is_asked_until_it_is_answered() -> None:
    asked = [(one.talk.asks[0].tool, one.talk.asks[0].argument) if one.talk.asks else None for one in talks("asked")]

    changes = [now for before, now in zip([None, *asked], asked, strict=False) if now != before]
    assert changes == [
        ("Bash", "echo hello > made.txt"),
        None,
        ("Bash", "echo two > two.txt"),
        None,
        ("Bash", "echo three > other.txt"),
        None,
    ]


def test_without_its_echo_a_call_is_asked_until_its_result_comes() -> None:
    lines = [line for line in BY_NAME["asked"].read_bytes().splitlines() if b'"control_response"' not in line]
    talk, most = OPENING, 0
    for number, data in enumerate(lines, 1):
        talk = hear(Line(number, data), talk, "/workspace").talk
        most = max(most, len(talk.asks))

    assert (most, talk.asks, talk.turns) == (1, (), 1)


def test_a_message_is_heard_when_it_joins_the_work_and_not_when_it_is_queued() -> None:
    all_heard = talks("steered")
    queued = next(i for i, data in enumerate(BY_NAME["steered"].read_bytes().splitlines()) if b'"m-1","state":"queued"' in data)

    assert "m-1" not in all_heard[queued].talk.heard
    assert all_heard[-1].talk.heard[-2:] == ("m-1", "m-2")
    assert all_heard[-1].talk.turns == 2


def test_a_turn_is_over_when_claude_code_comes_to_rest_and_not_at_each_result() -> None:
    said = {"type": "system", "subtype": "session_state_changed"}
    done = {"type": "result", "subtype": "success", "is_error": False, "result": "one"}
    working = once({**said, "state": "running"}).talk

    still = once(done, working).talk
    rested = once({**said, "state": "idle"}, still).talk

    assert (still.busy, still.turns) == (True, 0)
    assert (rested.busy, rested.turns) == (False, 1)
    assert once({**said, "state": "idle"}, rested).talk.turns == 1


def test_a_version_that_tells_no_state_is_at_rest_at_its_result() -> None:
    rested = once({"type": "result", "subtype": "success", "is_error": False, "result": "one"}).talk

    assert (rested.busy, rested.turns) == (False, 1)


def test_what_one_turn_said_of_its_end_does_not_count_for_the_next() -> None:
    rested = once({"type": "result", "subtype": "success", "is_error": False, "result": "one"}).talk

    again = once({"type": "system", "subtype": "init"}, rested).talk

    assert rested.ending == Ending(ok=True, summary="one")
    assert (again.busy, again.ending) == (True, Ending(ok=False))


def test_people_are_told_of_the_session_once() -> None:
    notices = [said.text for one in talks("steered") for said in one.said if said.kind is Said.NOTICE]

    assert notices == ["Claude Code 2.1.329 with claude-opus-5-5"]


def test_our_own_interrupt_is_not_tried_again() -> None:
    _, ending = heard("interrupted")

    assert (ending.ok, ending.code, ending.recoverable) == (False, "AGENT_INTERRUPTED", False)


def test_an_interrupt_of_nobodys_is_tried_again() -> None:
    ending = once({"type": "result", "subtype": "error_during_execution", "is_error": True, "terminal_reason": "aborted_tools"}).talk.ending

    assert ending is not None
    assert ending.recoverable


def test_what_was_asked_is_taken_back_when_claude_code_leaves() -> None:
    all_heard = talks("left")

    assert any(one.talk.asks for one in all_heard)
    assert all_heard[-1].talk.asks == ()
    assert talks("left2")[-1].talk.session == all_heard[-1].talk.session


def test_a_conversation_that_is_not_there_is_lost() -> None:
    _, ending = heard("lost")

    assert (ending.ok, ending.code, ending.recoverable) == (False, "AGENT_SESSION_LOST", True)


def test_no_line_of_a_recorded_conversation_is_unknown() -> None:
    for name in BY_NAME:
        assert [said.display for one in talks(name) for said in one.said if said.kind is Said.RAW] == [], name


def asking(id: str, input: object) -> dict[str, object]:
    return {"type": "control_request", "request_id": id, "request": {"subtype": "can_use_tool", "tool_name": "Bash", "input": input}}


def test_a_question_about_something_else_is_refused_at_once() -> None:
    one = once({"type": "control_request", "request_id": "r-1", "request": {"subtype": "elicitation"}})

    assert [said.kind for said in one.said] == [Said.RAW]
    (entry,) = one.owed
    assert (entry.id, json.loads(entry.data)["response"]["subtype"]) == ("refuse-r-1", "error")


def test_a_call_whose_input_is_no_object_is_denied_at_once() -> None:
    one = once(asking("r-1", ["ls"]))

    assert one.talk.asks == ()
    assert json.loads(one.owed[0].data)["response"]["response"]["behavior"] == "deny"


def test_more_calls_than_are_kept_are_denied_at_once() -> None:
    talk = OPENING
    for number in range(MOST_ASKS):
        talk = once(asking(f"r-{number}", {"command": "ls"}), talk).talk

    one = once(asking("r-more", {"command": "ls"}), talk)

    assert (len(one.talk.asks), len(one.owed)) == (MOST_ASKS, 1)


def test_an_answer_names_its_request_and_holds_what_runs() -> None:
    (ask,) = once(asking("r-1", {"command": "ls", "timeout": 5})).talk.asks

    allowed, rewritten, denied = (
        permission(ask, verdict) for verdict in (Verdict(True), Verdict(True, input={"command": "pwd"}), Verdict(False, "no"))
    )

    answers = [json.loads(entry.data)["response"] for entry in (allowed, rewritten, denied)]
    assert {answer["request_id"] for answer in answers} == {"r-1"}
    assert {entry.id for entry in (allowed, rewritten, denied)} == {"answer-r-1"}
    assert [answer["response"] for answer in answers] == [
        {"behavior": "allow", "updatedInput": {"command": "ls", "timeout": 5}},
        {"behavior": "allow", "updatedInput": {"command": "pwd"}},
        {"behavior": "deny", "message": "no"},
    ]


def hooked(tool: object, *always: str) -> dict[str, object]:
    """What the hook answers before a call of `tool`."""
    talk = watching(OPENING, AgentTask("x", supervised=True, asked_always=always))
    request = {"subtype": "hook_callback", "callback_id": "before-tool", "input": {"tool_name": tool, "tool_input": {}}}
    (entry,) = once({"type": "control_request", "request_id": "h-1", "request": request}, talk).owed
    assert entry.id == "hook-h-1"
    answer: dict[str, object] = json.loads(entry.data)["response"]["response"]
    return answer


@pytest.mark.parametrize(
    ("tool", "always", "asks"),
    [
        ("Read", ("*",), True),
        ("Read", ("Bash", "R?ad"), True),
        ("Read", ("Bash",), False),
        ("mcp__x__y", ("mcp__*",), True),
        (7, ("Bash",), True),
    ],
)
def test_before_each_tool_the_hook_says_whether_it_is_asked_about(tool: object, always: tuple[str, ...], asks: bool) -> None:
    assert bool(hooked(tool, *always)) is asks


@pytest.mark.parametrize("told", [{}, {"hooks_applied": True}, {"hooks_applied": True, "hook_on_failure_supported": False}])
def test_a_version_that_cannot_be_made_to_ask_is_sent_home(told: dict[str, object]) -> None:
    answer = {"type": "control_response", "response": {"subtype": "success", "request_id": "initialize", "response": told}}

    one = once(answer)
    sure = {"hooks_applied": True, "hook_on_failure_supported": True}
    good = once({"type": "control_response", "response": {"subtype": "success", "request_id": "initialize", "response": sure}})

    assert [entry.id for entry in one.owed] == ["interrupt-farewell", "close"]
    ending = unfit(one.talk)
    assert ending is not None
    assert ending.code == "AGENT_CANNOT_ASK"
    assert (good.owed, unfit(good.talk)) == ((), None)


@pytest.mark.parametrize("told", ["--settings", "../../etc", "*", "", 7, "705bd9cc-a76c-553d-b747-4821eae0ad19\n"])
def test_a_name_of_a_session_that_is_none_is_not_believed(told: object) -> None:
    known = Talk(session="705bd9cc-a76c-553d-b747-4821eae0ad19")

    assert once({"type": "system", "subtype": "init", "session_id": told}, known).talk.session == known.session
