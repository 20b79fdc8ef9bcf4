"""Which questions are refused, and what is left of long things on a page."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from tests.each import each
from tests.unit.relay.timelines import NOON, Line, asked, line, said, submitted
from tests.unit.relay.views import approvals, folded, listed, traced
from trunkline.contracts.approval import ApprovalPolicy, ApprovalVoted, Stage, Verdict
from trunkline.contracts.approval_views import ListApprovals
from trunkline.contracts.calls import Allowance, Ruling, ToolRule
from trunkline.contracts.errors import Invalid
from trunkline.contracts.task import EventPublished, TaskChildAdded, TaskFailed, TaskSucceeded
from trunkline.contracts.views import GetTrace, ListTasks
from trunkline_gateway.dialects.orchestrator.routes_approvals import AT_ONCE
from trunkline_relay.model.pages import (
    LARGEST_BODY,
    LONGEST_FILTER,
    TEXT_LENGTHS,
    brief_approvals,
    brief_tasks,
    brief_trace,
    check_approvals,
    check_tasks,
    check_trace,
)

LONG = "x" * (LONGEST_FILTER + 1)


@each(
    "asked",
    [{"limit": 0}, {"limit": 201}, {"limit": -1}, {"limit": 10**9}, {"offset": -1}, {"offset": 2**63}, {"types": [LONG]},
     {"types": ["a"] * 51}, {"pool": LONG}, {"source": LONG}, {"parent": LONG}, {"trace_id": LONG}, {"submitted_by": LONG},
     {"after": "nonsense"},
     {"sort": "oldest", "after": "newest.1.t1"}]
)  # fmt: skip
def test_a_page_that_cannot_be_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        check_tasks(ListTasks.model_validate({"tenant": "acme", "at": NOON, **asked}))


@pytest.mark.parametrize("limit", [1, 200])
def test_a_page_of_one_and_a_page_of_two_hundred_can_be(limit: int) -> None:
    check_tasks(ListTasks(tenant="acme", at=NOON, limit=limit, after="newest.1.t1"))
    check_approvals(ListApprovals(tenant="acme", at=NOON, limit=limit, after="open.1.t1.release"))
    check_trace(GetTrace(tenant="acme", at=NOON, trace_id="tr1", limit=limit))


@pytest.mark.parametrize(
    "asked", [{"limit": 0}, {"limit": 201}, {"kind": LONG}, {"task_id": LONG}, {"requested_by": LONG}, {"after": "x"}], ids=str
)
def test_a_page_of_approvals_that_cannot_be_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        check_approvals(ListApprovals.model_validate({"tenant": "acme", "at": NOON, **asked}))


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 201}, {"trace_id": LONG}], ids=str)
def test_a_trace_that_cannot_be_asked_for_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        check_trace(GetTrace.model_validate({"tenant": "acme", "at": NOON, "trace_id": "tr1", **asked}))


def test_short_things_are_on_the_page_as_they_are() -> None:
    made = submitted(payload={"env": "test"}, metadata={"a": 1}, labels={"b": "c"}, trace="tr1")
    views = folded([line(1, "t1", "task", made), said(2, "tr1"), asked(3, "t1")])

    assert brief_tasks(listed(views)) == listed(views)
    assert brief_approvals(approvals(views)) == approvals(views)
    assert brief_trace(traced(views, "tr1")) == traced(views, "tr1")


def test_long_things_are_cut_on_a_page_and_whole_in_the_task_itself() -> None:
    payload, prompt = {"text": "y" * 5_000}, "x" * 5_000
    children = [line(seq, "t1", "task", TaskChildAdded(child=f"c{seq}")) for seq in range(2, 32)]
    views = folded([line(1, "t1", "task", submitted(prompt=prompt, payload=payload, labels={"a": prompt})), *children])

    (view,) = brief_tasks(listed(views)).tasks
    assert (len(view.assignment.prompt), view.assignment.prompt[-1]) == (TEXT_LENGTHS[0], "…")
    assert view.assignment.payload == {"left_out": 5_012}
    assert view.assignment.labels == {"left_out": "5009"}
    assert view.children == tuple(f"c{seq}" for seq in range(22, 32))
    whole = views.task("acme", "t1")
    assert whole and (whole.assignment.prompt, whole.assignment.payload, len(whole.children)) == (prompt, payload, 30)


def test_what_an_agent_returned_is_whole_in_its_task_and_left_out_of_a_page_where_it_is_long() -> None:
    long, short = {"text": "y" * 5_000}, ["done", 7]
    entries = [
        (1, "t1", submitted()),
        (2, "t1", TaskSucceeded(outcome=long)),
        (3, "t2", submitted()),
        (4, "t2", TaskSucceeded(outcome=short)),
    ]
    views = folded([line(seq, name, "task", fact) for seq, name, fact in entries])

    assert {view.task_id: view.outcome for view in brief_tasks(listed(views)).tasks} == {"t1": {"left_out": 5_012}, "t2": short}
    whole = views.task("acme", "t1")
    assert whole and whole.outcome == long


def test_of_many_rules_the_first_stand_on_a_page_and_all_in_the_task_itself() -> None:
    rules = tuple(ToolRule(argument=f"{number} " + "x" * 1_990, then=Ruling.ASK, reason="y" * 1_000) for number in range(100))
    views = folded([line(1, "t1", "task", submitted(tool_rules=rules))])

    (view,) = brief_tasks(listed(views)).tasks
    assert [rule.argument[:2] for rule in view.assignment.tool_rules] == [f"{number} " for number in range(10)]
    whole = views.task("acme", "t1")
    assert whole and whole.assignment.tool_rules == rules


def test_a_list_and_a_trace_never_read_what_is_long_so_that_nobody_else_waits_for_it() -> None:
    event = EventPublished(event_type="log.dump", by="ann", trace_id="tr1", payload={"a": "z" * 250_000})
    made = submitted(payload={"text": "y" * 250_000}, trace="tr1")
    views = folded([line(1, "t1", "task", made), line(2, "-", "message", event)])
    trace = traced(views, "tr1")
    for seen in (listed(views), trace):
        assert len(seen.model_dump_json()) < 10_000
    assert brief_tasks(listed(views)) == listed(views)
    assert trace.events[0].event.payload == {"left_out": 250_009}
    whole = views.task("acme", "t1")
    assert whole and whole.assignment.payload == {"text": "y" * 250_000}


def longest(seq: int) -> list[Line]:
    text = "\N{SNOWMAN}" * 6_000
    made = submitted(prompt=text, payload={"a": "\x00" * 300}, metadata={"b": text}, labels={"c": text}, trace="tr1")
    return [line(seq, f"t{seq}", "task", made), line(seq + 1, f"t{seq}", "task", TaskFailed(code="AGENT_FAILED", error=text))]


def test_a_page_of_the_longest_things_fits_into_one_message() -> None:
    text = "\x00" * 5_000
    views = folded([entry for seq in range(1, 401, 2) for entry in longest(seq)])
    folded([asked(500 + number, f"t{number}", subject=text, about={"c": text}) for number in range(200)], views=views)
    folded([said(1_000 + number, "tr1") for number in range(200)], views=views)

    tasks, trace = brief_tasks(listed(views, limit=200)), brief_trace(traced(views, "tr1", limit=200))
    waiting = brief_approvals(approvals(views, limit=200))
    assert (len(tasks.tasks), len(trace.tasks), len(trace.events), len(waiting.approvals)) == (200, 200, 200, 200)
    assert max(len(one.model_dump_json().encode()) for one in (tasks, trace, waiting)) <= LARGEST_BODY


def test_a_page_of_approvals_that_fifty_people_spoke_on_fits_into_one_message() -> None:
    policy = ApprovalPolicy(first=Stage(quorum=50, names=tuple(f"person-{number}@example.com" for number in range(50))))
    log = [asked(number, f"t{number}", policy=policy) for number in range(1, AT_ONCE + 1)]
    for by in range(49):
        said = ApprovalVoted(approval_id="release", verdict=Verdict.APPROVED, by=f"person-{by}@example.com", reason="\N{SNOWMAN}" * 1024)
        log += [line(1000 * by + seq + AT_ONCE, f"t{seq}", "approval-release", said) for seq in range(1, AT_ONCE + 1)]
    page = brief_approvals(approvals(folded(log), limit=AT_ONCE))
    assert (len(page.approvals), len(page.approvals[0].votes)) == (AT_ONCE, 49)
    assert len(page.model_dump_json().encode()) <= LARGEST_BODY


def test_a_page_of_the_longest_tool_calls_fits_into_one_message_and_each_is_whole_by_itself() -> None:
    content: dict[str, JsonValue] = {"content": "\x7f" * 60_000}
    about = {"tool": "Write", "input": content, "offers": ["rewrite"]}
    log: list[Line] = []
    for number in range(AT_ONCE):
        name = f"a{number}"
        vote = ApprovalVoted(approval_id=name, verdict=Verdict.APPROVED, by="eve", allowance=Allowance(input=content))
        log.append(asked(2 * number + 1, "t1", name, kind="tool_call", about=about))
        log.append(line(2 * number + 2, "t1", f"approval-{name}", vote))
    views = folded(log)
    page = brief_approvals(approvals(views, limit=AT_ONCE))
    assert len(page.model_dump_json().encode()) < LARGEST_BODY
    (first, *_) = page.approvals
    assert first.about.keys() == {"left_out"}
    assert first.allowance and first.allowance.input and first.allowance.input.keys() == {"left_out"}
    whole = views.approval("acme", "t1", "a1")
    assert whole and whole.allowance and whole.allowance.input == content
