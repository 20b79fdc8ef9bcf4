"""What the lines of the agent `command` mean."""

from __future__ import annotations

import json

import pytest

from trunkline.contracts.run import Said, Usage
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.model import AgentTask, Ending, Heard, Talk, Verdict
from trunkline_sandbox.ports import Exit, Line

AGENT = CommandAgent("fix-it --fast")
DUPLEX = CommandAgent("fix-it --fast", duplex=True)
TASK = AgentTask("Fix it.")


def hear(*lines: bytes | Line, agent: CommandAgent = AGENT) -> list[Heard]:
    all_heard: list[Heard] = []
    for number, line in enumerate(lines, 1):
        talk = all_heard[-1].talk if all_heard else agent.opening(TASK, "run-1")
        all_heard.append(agent.hear(line if isinstance(line, Line) else Line(number, line), talk))
    return all_heard


def judge(*lines: bytes | Line, exit: Exit) -> Ending:
    return AGENT.outcome(hear(*lines)[-1].talk, exit)


def talk_after(*lines: bytes) -> Talk:
    return hear(*lines, agent=DUPLEX)[-1].talk


def form(**body: object) -> bytes:
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "line", [b"working on it", b"data: [DONE]", b"event: result", b'{"type":"party"}', b'{"type":"message"}', b'{"broken', b"[1,2]", b"{}"]
)
def test_what_is_not_in_the_form_is_a_message(line: bytes) -> None:
    (said,) = hear(line)[0].said

    assert (said.kind, said.text) == (Said.MESSAGE, line.decode())


def test_a_line_shown_to_people_has_no_terminal_escapes_and_no_control_characters() -> None:
    (said,) = hear(b"\x1b]0;title\x07\x1b[1;31mred\x1b[0m\tand\x08 \xff bell\x07")[0].said

    assert said.display == "red and \ufffd bell"


def test_a_tool_call_is_shown_as_it_asks_to_be() -> None:
    (said,) = hear(form(type="tool_call", tool="Read", input={"path": "a"}, display="src/x.py", id="1"))[0].said

    assert (said.kind, said.tool, said.display, said.detail) == (Said.TOOL_CALL, "Read", "src/x.py", {"id": "1"})
    assert json.loads(said.text) == {"path": "a"}


def test_a_tool_call_without_display_is_shown_by_its_input() -> None:
    (said,) = hear(form(type="tool_call", tool="Read", input={"file_path": "/workspace/src/x.py"}))[0].said

    assert said.display == "src/x.py"


def test_a_tool_result_thinking_and_a_message_are_told_apart() -> None:
    result, thought, message = (
        one.said[0]
        for one in hear(
            form(type="tool_result", tool="Read", output={"lines": 3}, is_error=True),
            form(type="thinking", text="hm"),
            form(type="message", text="done"),
        )
    )

    assert (result.kind, result.tool, result.text, result.is_error) == (Said.TOOL_RESULT, "Read", '{"lines": 3}', True)
    assert (thought.kind, thought.text) == (Said.THINKING, "hm")
    assert (message.kind, message.text) == (Said.MESSAGE, "done")


def test_what_comes_on_stderr_is_a_message_that_says_so_even_when_it_is_json() -> None:
    (said,) = hear(Line(1, form(type="result", ok=False), stderr=True))[0].said

    assert (said.kind, said.detail) == (Said.MESSAGE, {"stream": "stderr"})


def test_the_last_plain_line_is_the_summary_of_a_program_that_says_no_result() -> None:
    ending = judge(b"editing", b"fixed 3 files", Line(3, b"warning: slow", stderr=True), exit=Exit(0))

    assert ending == Ending(ok=True, summary="fixed 3 files")


def test_the_last_line_stands_in_the_sentence_of_a_failure() -> None:
    ending = judge(b"editing", Line(2, b"Traceback: boom", stderr=True), exit=Exit(3))

    assert (ending.ok, ending.code, ending.recoverable) == (False, "AGENT_FAILED", False)
    assert ending.error == "the agent command ended with exit code 3; the last it wrote was: Traceback: boom"


def test_a_result_that_is_not_ok_fails_a_program_that_exits_with_zero() -> None:
    ending = judge(form(type="result", ok=False, error="tests still fail"), b"bye", exit=Exit(0))

    assert (ending.ok, ending.code, ending.error) == (False, "AGENT_FAILED", "tests still fail")


def test_a_result_that_is_ok_does_not_save_a_program_that_exits_with_another_code() -> None:
    ending = judge(form(type="result", ok=True, summary="all good"), Line(2, b"segfault soon", stderr=True), exit=Exit(1))

    assert not ending.ok
    assert ending.error.endswith("segfault soon")


def test_a_summary_is_not_lost_to_lines_that_follow_it() -> None:
    ending = judge(form(type="result", ok=True, summary="all good"), b"cleaning up", exit=Exit(0))

    assert ending == Ending(ok=True, summary="all good")


def test_usage_is_kept_to_the_end_and_its_last_line_counts() -> None:
    ending = judge(
        form(type="usage", model="m", input_tokens=1, output_tokens=1),
        form(type="usage", model="m", input_tokens=10, output_tokens=5, cost_usd=0.5),
        b"text",
        form(type="result", ok=True),
        exit=Exit(0),
    )

    assert ending.usage == Usage(model="m", input_tokens=10, output_tokens=5, cost_usd=0.5)


@pytest.mark.parametrize("cost", ["NaN", "Infinity", "-1", '"much"'])
def test_usage_that_is_no_number_is_text(cost: str) -> None:
    (one,) = hear(b'{"type":"usage","cost_usd":' + cost.encode() + b"}")

    assert one.said[0].kind is Said.MESSAGE


def test_a_program_that_is_not_spoken_to_is_told_its_task_and_nothing_more() -> None:
    launch = AGENT.launch(TASK, "run-1")

    assert (launch.stdin, launch.keep_stdin) == (b"Fix it.", False)
    assert AGENT.say(Talk(), "m-1", "Hello") == AGENT.farewell(Talk()) == AGENT.interrupt(Talk(), "w") == ()


def test_a_program_that_is_spoken_to_gets_its_task_as_a_line() -> None:
    resumed = AgentTask("Go on.", session="s-1", fork=True, supervised=True, asked_always=("Bash",))

    launch = DUPLEX.launch(TASK, "run-1")

    assert launch.keep_stdin
    assert json.loads(launch.stdin) == {"type": "task", "text": "Fix it.", "supervised": False}
    assert json.loads(DUPLEX.launch(resumed, "run-2").stdin) == {
        "type": "task",
        "text": "Go on.",
        "supervised": True,
        "asked_always": ["Bash"],
        "resume": "s-1",
        "fork": True,
    }


def test_what_only_a_program_writes_that_is_spoken_to_is_text_of_any_other() -> None:
    (said,) = hear(form(type="turn_over"))[0].said

    assert said.kind is Said.MESSAGE


def test_a_turn_is_over_when_the_program_says_so() -> None:
    talk = talk_after(form(type="message", text="All done."), form(type="turn_over"))

    assert (talk.busy, talk.turns, talk.ending) == (False, 1, Ending(ok=True, summary="All done."))


def test_a_result_ends_the_turn_too_and_a_turn_over_behind_it_ends_the_same_one() -> None:
    done = form(type="result", ok=True, summary="All done.")

    assert talk_after(done).turns == 1
    assert talk_after(done, form(type="turn_over")).turns == 1
    assert talk_after(done, form(type="turn_over"), form(type="turn_over")).turns == 2


def test_each_message_that_is_heard_begins_a_turn() -> None:
    talk = talk_after(form(type="turn_over"), form(type="heard", id="m-1"))
    over = talk_after(form(type="turn_over"), form(type="heard", id="m-1"), form(type="turn_over"))

    assert (talk.busy, talk.heard, talk.ending) == (True, ("m-1",), Ending(ok=False))
    assert (over.busy, over.turns) == (False, 2)


def test_a_program_that_does_not_say_what_it_heard_is_at_work_when_it_uses_a_tool() -> None:
    talk = talk_after(form(type="turn_over"), form(type="tool_call", tool="Read"))

    assert talk.busy


def test_a_failed_result_fails_the_run_unless_a_later_turn_goes_well() -> None:
    failed = (form(type="result", ok=False, error="tests still fail"),)
    again = (*failed, form(type="heard", id="m-1"), form(type="turn_over", summary="Fixed."))

    assert DUPLEX.outcome(talk_after(*failed), Exit(0)).error == "tests still fail"
    assert DUPLEX.outcome(talk_after(*again), Exit(0)) == Ending(ok=True, summary="Fixed.")


def test_a_program_at_rest_that_had_to_be_ended_did_its_work() -> None:
    killed = Exit(None, signal=9, cause="killed")

    assert DUPLEX.outcome(talk_after(form(type="turn_over", summary="Done.")), killed) == Ending(ok=True, summary="Done.")
    assert DUPLEX.outcome(talk_after(form(type="turn_over"), form(type="heard", id="m")), killed).code == "AGENT_KILLED"


ASK = form(type="permission_request", id="c-1", tool="Bash", input={"command": "rm -rf build"}, description="Clean up.")


def test_a_permission_request_is_asked_until_its_call_goes_on() -> None:
    (ask,) = talk_after(ASK).asks

    assert (ask.id, ask.tool, ask.argument, ask.description) == ("c-1", "Bash", "rm -rf build", "Clean up.")
    assert talk_after(ASK, form(type="thinking", text="…"), ASK).asks == (ask,)
    for line in (
        form(type="tool_call", tool="Bash", id="c-1"),
        form(type="tool_result", id="c-1"),
        form(type="permission_dropped", id="c-1"),
        form(type="turn_over"),
    ):
        assert talk_after(ASK, line).asks == ()


def test_what_a_program_says_of_its_call_is_not_what_rules_look_at() -> None:
    (ask,) = talk_after(form(type="permission_request", id="c", tool="Bash", input={"command": "x" * 5000}, description="ls")).asks

    assert ask.argument == "x" * 5000


def test_an_answer_is_one_line_under_one_id() -> None:
    (ask,) = talk_after(ASK).asks

    (allowed,) = DUPLEX.answer(Talk(), ask, Verdict(True))
    (rewritten,) = DUPLEX.answer(Talk(), ask, Verdict(True, input={"command": "ls"}))
    (denied,) = DUPLEX.answer(Talk(), ask, Verdict(False, "not today"))

    assert {entry.id for entry in (allowed, rewritten, denied)} == {"answer-c-1"}
    assert json.loads(allowed.data) == {
        "type": "permission",
        "id": "c-1",
        "verdict": "allow",
        "input": {"command": "rm -rf build"},
        "reason": "",
    }
    assert json.loads(rewritten.data)["input"] == {"command": "ls"}
    assert json.loads(denied.data) == {"type": "permission", "id": "c-1", "verdict": "deny", "reason": "not today"}


def test_an_id_that_no_journal_can_hold_is_hashed() -> None:
    (ask,) = talk_after(form(type="permission_request", id="../../etc/passwd\n", tool="Bash", input={})).asks

    (entry,) = DUPLEX.answer(Talk(), ask, Verdict(True))

    assert entry.id.removeprefix("answer-").isalnum()
    assert json.loads(entry.data)["id"] == "../../etc/passwd\n"


def test_a_request_without_an_object_is_denied_at_once() -> None:
    one = hear(form(type="permission_request", id="c-1", tool="Bash", input="ls"), agent=DUPLEX)[0]

    assert one.talk.asks == ()
    assert json.loads(one.owed[0].data)["verdict"] == "deny"


def test_a_session_that_is_told_can_be_gone_on_with() -> None:
    talk = talk_after(form(type="session", id="s-1"))

    assert (talk.session, DUPLEX.session_files(talk)) == ("s-1", (".conversation/**/*",))
