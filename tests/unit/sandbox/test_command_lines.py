"""What the lines of the agent `command` mean."""

from __future__ import annotations

import json

import pytest

from trunkline.contracts.run import Said, Usage
from trunkline_sandbox.adapters.agents.command import CommandAgent
from trunkline_sandbox.ports import Ending, Exit, Heard, Line

AGENT = CommandAgent("fix-it --fast")


def hear(*lines: bytes | Line) -> list[Heard]:
    known: Ending | None = None
    all_heard: list[Heard] = []
    for number, line in enumerate(lines, 1):
        one = AGENT.hear(line if isinstance(line, Line) else Line(number, line), known)
        known = one.ending or known
        all_heard.append(one)
    return all_heard


def judge(*lines: bytes | Line, exit: Exit) -> Ending:
    known = None
    for one in hear(*lines):
        known = one.ending or known
    return AGENT.outcome(known, exit)


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
