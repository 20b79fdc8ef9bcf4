"""What the lines of a real Claude Code mean: recorded by running it against the scripted model server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trunkline.contracts.run import AgentOutput, Said, Usage
from trunkline_sandbox.adapters.agents.claude_lines import hear
from trunkline_sandbox.ports import Ending, Heard, Line

RECORDINGS = sorted((Path(__file__).parents[2] / "recordings" / "claude").glob("*/*.jsonl"))
BY_NAME = {path.stem: path for path in RECORDINGS}


def heard(name: str) -> tuple[list[AgentOutput], Ending]:
    said: list[AgentOutput] = []
    known: Ending | None = None
    for number, data in enumerate(BY_NAME[name].read_bytes().splitlines(), 1):
        one = hear(Line(number, data), known, "/workspace")
        said += one.said
        known = one.ending or known
    assert known is not None
    return said, known


def once(body: object) -> Heard:
    return hear(Line(7, json.dumps(body).encode()), None, "/workspace")


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


@pytest.mark.parametrize(
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

    ending = once(first_retry).ending

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
            assert hear(Line(1, data), None, "/w").ending == once(turned).ending


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
    ending = once(body).ending

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
    (said,) = hear(Line(1, b'{"type":"assistant","message":{"con', cut=9000), None, "/workspace").said

    assert said.kind is Said.RAW
    assert said.detail == {"cut_bytes": 9000}


def test_what_claude_code_writes_to_stderr_is_kept_for_the_sentence_of_a_failure() -> None:
    one = hear(Line(1, b"\x1b[31mError:\x1b[0m no such model", stderr=True), None, "/workspace")

    assert one.said[0].detail == {"stream": "stderr"}
    assert one.ending is not None
    assert (one.ending.ok, one.ending.code, one.ending.error) == (False, "", "Error: no such model")


def test_stderr_after_the_result_does_not_change_the_ending() -> None:
    known = Ending(ok=True, summary="done")

    assert hear(Line(9, b"late warning", stderr=True), known, "/workspace").ending is None


def test_a_message_of_a_sub_agent_names_its_parent() -> None:
    block = {"type": "tool_use", "id": "t2", "name": "Read", "input": {"file_path": "/etc/hosts"}}

    (said,) = once({"type": "assistant", "parent_tool_use_id": "t1", "message": {"content": [block]}}).said

    assert said.detail == {"id": "t2", "parent": "t1"}
    assert said.display == "/etc/hosts"
