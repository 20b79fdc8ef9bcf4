"""What the orchestrator dialect takes and says, word by word."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from tests.architecture.source import ROOT
from tests.each import each
from trunkline.contracts import image, room, sandbox
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import DomainError, Invalid, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact, UnknownFact
from trunkline.contracts.record import FACTS, Event
from trunkline.contracts.run import RunClaimed, RunFailed, RunStopped, RunSucceeded
from trunkline.contracts.task import Assignment, TaskHoldDropped, TaskStatus
from trunkline_gateway.dialects.orchestrator import decode, decode_lists, encode, encode_events, facts, names, reading, repository
from trunkline_gateway.dialects.orchestrator.answers_events import Happened
from trunkline_gateway.dialects.orchestrator.schemas import TaskBody

ORCHESTRATOR = ROOT / "docs" / "reference" / "orchestrator.md"
TASK = "0194589f6d0070008000000000000001"
NOW = datetime(2025, 1, 12, 10, 0, 0, tzinfo=UTC)
GOOD = {"type": "bugfix", "payload": {}}
NAMED = {fact for fact in FACTS if fact.__module__ in (sandbox.__name__, image.__name__, room.__name__)}
"""Facts of named sandboxes, and of what they begin with, lie on no task's timeline."""
UNTOLD = {RunClaimed, RunSucceeded, RunFailed, RunStopped, TaskHoldDropped} | NAMED
"""Facts that say nothing which the facts of the task do not say too."""
TOLD = [fact for fact in FACTS if fact not in UNTOLD]


def made(fact: type[Fact]) -> Fact:
    """Any fact of a kind, from the golden that keeps its form."""
    with open(f"tests/contracts/goldens/{fact.__name__}.json") as file:
        return fact.model_validate(json.load(file))


def _name(fact: type[Fact]) -> str:
    """What the surface calls it; empty when whoever says it says how."""
    told = facts.told(TaskId(TASK), made(fact))
    return told[0] if told else ""


def event(fact: Fact) -> Event:
    return Event(Cursor("k3v9", 7, 2), TenantId("public"), TaskId(TASK), "task", NOW, fact)


@given(st.text(max_size=60))
def test_only_ids_are_read_as_ids(text: str) -> None:
    for read in (names.read_task, names.read_approval, names.read_trace):
        try:
            read(text)
        except NotFound:
            continue
        assert text.isascii()
        assert not set(text) & set(" \n\r\t/.") or read is names.read_trace


@pytest.mark.parametrize("name", ["release", "call-1", "x" * 55])
def test_approvals_are_named_by_their_task(name: str) -> None:
    written = names.approval(TASK, name)
    assert names.read_approval(written) == (TASK, name)
    assert (written == f"approval_{TASK}") is (name == "release")


def test_a_line_end_is_no_part_of_a_name() -> None:
    for text in (f"task_{TASK}\n", f"{TASK}\n"):
        with pytest.raises(NotFound):
            names.read_task(text)
    assert not names.is_event("a.b\n")


@pytest.mark.parametrize(("sent", "seconds"), [(1, 1), ("3600", 3600), (3600.0, 3600), (31536000, 31536000), ("01", 1), (None, None)])
def test_a_promise_is_a_number_or_the_text_of_one(sent: object, seconds: float | None) -> None:
    assert decode.task({**GOOD, "sla_target": sent}, NOW).assignment.sla_s == seconds


def test_the_older_promise_is_a_time_and_the_newer_one_wins() -> None:
    for text in ("2025-01-12T10:01:00Z", "2025-01-12T11:01:00+01:00", "2025-01-12T10:01:00"):
        assert decode.task({**GOOD, "sla_deadline": text}, NOW).assignment.sla_s == 60
    both = {**GOOD, "sla_deadline": "2025-01-12T10:01:00Z", "sla_target": 5}
    assert decode.task(both, NOW).assignment.sla_s == 5


def test_what_stands_outside_metadata_wins() -> None:
    metadata = {"trace_id": "inner", "max_retries": 2, "parent_task_id": f"task_{'1' * 32}"}
    inner = decode.task({**GOOD, "metadata": metadata}, NOW)
    assert (inner.trace_id, inner.assignment.max_retries, inner.assignment.parent) == ("inner", 2, "1" * 32)
    outer = decode.task({**GOOD, "metadata": metadata, "trace_id": "outer", "max_retries": 0, "parent_task_id": f"task_{'2' * 32}"}, NOW)
    assert (outer.trace_id, outer.assignment.max_retries, outer.assignment.parent) == ("outer", 0, "2" * 32)
    assert inner.assignment.metadata == metadata


WHOLE = {
    "type": "x" * 64, "payload": {"list": [{"deep": 1.5}], "number": 2**63 - 1}, "priority": "P0", "source": "agent", "trace_id": "t",
    "metadata": {"a": None}, "parent_task_id": f"task_{'1' * 32}", "created_by": "é" * 128, "user_id": "u", "source_agent": "a",
}  # fmt: skip
LATER = (NOW + timedelta(days=1)).isoformat()


@pytest.mark.parametrize(
    "more",
    [
        {"sla_target": 31_536_000, "max_retries": 10, "delay": 2_592_000, "metadata": {"repo": "o/n"}},
        {"sla_target": "1", "max_retries": 0, "start_at": LATER},
        {
            "sla_deadline": "2025-01-12T10:00:00.000001Z",
            "budget_usd": 0.000001,
            "tool_rules": [{"tool": "t", "argument": "*", "then": "ask"}],
        },
    ],
)
def test_what_is_made_of_a_wish_is_what_the_contract_takes(more: dict[str, Any]) -> None:
    made = decode.task({**WHOLE, **more}, NOW).assignment
    looked_through = Assignment.model_validate({name: getattr(made, name) for name in made.model_fields_set})
    assert looked_through.written() == made.written()
    assert Assignment.model_validate_json(made.written()) == made


@given(st.dictionaries(st.text(max_size=10), st.one_of(st.none(), st.integers(), st.text(max_size=10), st.lists(st.integers()))))
def test_whatever_is_sent_is_taken_or_refused_in_a_sentence(more: dict[str, Any]) -> None:
    try:
        decode.task({**GOOD, **more}, NOW)
    except DomainError as refusal:
        assert encode.error(refusal)[1] in (400, 404, 422)


@given(st.text(min_size=12, max_size=60).filter(lambda text: text.strip() == text and not re.search("[a-z]{3}", text)))
def test_no_refusal_repeats_what_was_sent(secret: str) -> None:
    for field in (*TaskBody.model_fields, "metadata.trace_id"):
        body: dict[str, Any] = {**GOOD, "metadata": {"trace_id": [secret]}} if "." in field else {**GOOD, field: [secret]}
        try:
            decode.task(body, NOW)
        except DomainError as refusal:
            assert secret not in refusal.message


@given(st.text(max_size=40))
def test_a_branch_that_is_taken_is_harmless(text: str) -> None:
    try:
        taken = repository.branch(text)
    except Invalid:
        return
    assert not taken.startswith(("-", "/", "."))
    assert ".." not in taken and not set(taken) & set(" ~^:?*[\\\n\x00")


@pytest.mark.parametrize("value", ["o/n", "my-org/my_repo.js", "o/.github"])
def test_a_repository_is_known_by_its_form(value: str) -> None:
    assert repository.named(value) == value


@each("value", ["", "n", "o/..", "../n", "o/n/x", "-o/n", "o/n.git", "o/n\n", 5, None, ["o/n"], "https://x/o/n"])
def test_what_is_no_repository_is_a_label(value: Any) -> None:
    assert repository.named(value) == ""


def test_every_status_has_a_word_and_every_word_stands_for_statuses() -> None:
    assert set(encode.STATUS) == set(TaskStatus)
    assert {status for word in decode_lists.STANDS_FOR for status in decode_lists.STANDS_FOR[word]} == set(TaskStatus)
    assert all(encode.STATUS[status] == word for word, statuses in decode_lists.STANDS_FOR.items() for status in statuses)


@each("fact", TOLD)
def test_every_fact_is_told_in_one_shape(fact: type[Fact]) -> None:
    told = encode_events.happened(event(made(fact)))
    assert told
    Happened.model_validate_json(json.dumps(told))
    assert names.is_event(str(told["event_type"]))
    lines = encode_events.frame(event(made(fact))).decode().removesuffix("\n\n").split("\n")
    assert [line.partition(":")[0] for line in lines] == ["id", "event", "data"]
    assert "decision_id" not in str(told)


@each("fact", sorted(UNTOLD, key=lambda fact: fact.__name__))
def test_what_the_task_says_itself_is_not_told_twice(fact: type[Fact]) -> None:
    assert facts.told(TASK, made(fact)) is None
    assert encode_events.frame(event(made(fact))) == b""


def test_the_reference_names_every_event() -> None:
    rows = [line.split("|")[1] for line in ORCHESTRATOR.read_text().splitlines() if line.startswith("| `")]
    words = [re.findall(r"`([a-z_.]+)`", row) for row in rows]
    found = {
        f"{first.partition('.')[0]}{word}" if word.startswith(".") else word
        for first, *more in filter(None, words)
        for word in (first, *more)
    }
    assert sorted({name for fact in TOLD if (name := _name(fact))} - found) == []


def test_a_fact_of_a_newer_version_is_passed_over() -> None:
    assert encode_events.frame(event(UnknownFact(type="task.dreamt"))) == b""


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_are_written_to_the_millisecond_and_keep_their_order(at: datetime) -> None:
    written = encode.moment(at)
    assert len(written) == 24
    assert abs(reading.moment("x", written) - at) < timedelta(milliseconds=1)


@pytest.mark.parametrize("text", ["", "x", "2025", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "5"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        reading.moment("created_after", text)


def test_a_list_of_words_is_read_word_by_word() -> None:
    asked, cursor = decode_lists.tasks(MultiDict({"status": "in_progress,pending", "priority": "P0,P0", "cursor": "c"}), NOW)
    assert asked.statuses == (TaskStatus.IN_PROGRESS, TaskStatus.STOPPING, TaskStatus.SUBMITTED)
    assert (asked.priorities, cursor, asked.limit) == (("P0",), "c", 20)
