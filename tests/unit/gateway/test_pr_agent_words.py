"""What the pr_agent dialect takes and says, word by word."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict

from trunkline.contracts import dispatch, image, instance, room, sandbox
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Broken, Invalid, NotFound, Unavailable
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact, UnknownFact
from trunkline.contracts.record import FACTS, Event, Gap
from trunkline.contracts.run import AgentOutput, PushJudged, RunResult, RunWaits, Said, Wait
from trunkline.contracts.task import Assignment, TaskStatus, TaskSucceeded
from trunkline.contracts.views import TaskView
from trunkline_gateway.dialects.pr_agent import decode, encode

TASK = "0194589f6d0070008000000000000001"
JOB = "0194589f-6d00-7000-8000-000000000001"
AT = datetime(2025, 1, 12, 10, 0, 5, tzinfo=UTC)
GOOD = {"repo": "o/n", "task": "t"}


def refused(body: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as refusal:
        decode.execute(body)
    return refusal.value.code


def made(fact: type[Fact]) -> Fact:
    """Any fact of a kind, from the golden that keeps its form."""
    with open(f"tests/contracts/goldens/{fact.__name__}.json") as file:
        return fact.model_validate(json.load(file))


def event(fact: Fact) -> Event:
    return Event(Cursor("k3v9", 7, 2), TenantId("public"), TaskId(TASK), "run", AT, fact)


def said(fact: Fact) -> dict[str, Any]:
    """The one data line of a frame, read back."""
    head, data = encode.frame(event(fact)).decode().removesuffix("\n\n").split("\n")
    assert head == "id: k3v9-7.2"
    found: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return found


@pytest.mark.parametrize("repo", ["o/n", "my-org/my_repo.js", "o/.github", "o/n.github.io", "_o/n", "a" * 100 + "/" + "b" * 100])
def test_a_repository_is_taken_as_forges_name_them(repo: str) -> None:
    assert decode.execute({**GOOD, "repo": repo}).repo == repo


@given(st.text(max_size=40))
def test_what_is_taken_as_a_repository_can_neither_leave_its_root_nor_be_an_option(text: str) -> None:
    for repo in (text, f"o/{text}", f"{text}/n"):
        try:
            taken = decode.execute({**GOOD, "repo": repo}).repo
        except Invalid as refusal:
            assert refusal.code == "INVALID_REPO"
            continue
        owner, name = taken.split("/")
        assert not {owner, name} & {"", ".", ".."}
        assert taken.isascii()
        assert taken.isprintable()
        assert " " not in taken
        assert not any(part.startswith("-") for part in (owner, name))


def git_takes(branch: str) -> bool:
    return subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=False).returncode == 0


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.sampled_from("ab./@{~^:?*[\\- \x7f\tlock"), min_size=1, max_size=10)
    | st.sampled_from(["a.lock", "a.lock/b", "@", "a/@", "ä"])
)
def test_a_branch_that_is_taken_is_one_that_git_takes(branch: str) -> None:
    try:
        decode.execute({**GOOD, "branch": branch})
        taken = True
    except Invalid as refusal:
        assert refusal.code == "INVALID_BRANCH"
        taken = False
    # We refuse `-x` and `@` too, as `git branch` does though a bare reference may be called so.
    assert taken == (git_takes(branch) and not branch.startswith("-") and branch != "@")


@pytest.mark.parametrize("branch", ["HEAD", "x" * 201, "a\nb", "a\x00b", "-d", "a..b", "refs//x"])
def test_a_branch_that_would_mislead_git_is_refused(branch: str) -> None:
    assert refused({**GOOD, "branch": branch}) == "INVALID_BRANCH"


def test_no_branch_means_main() -> None:
    assert decode.execute(GOOD).branch == decode.execute({**GOOD, "branch": None}).branch == "main"


def test_the_length_of_a_task_is_counted_in_bytes() -> None:
    assert decode.execute({**GOOD, "task": "x" * (128 << 10)}).prompt
    assert refused({**GOOD, "task": "\u20ac" * (64 << 10)}) == "TASK_TOO_LONG"


def test_no_refusal_repeats_what_was_sent() -> None:
    bodies: list[dict[str, Any]] = [{**GOOD, "githubToken": ["ghp_canary"]}, {**GOOD, "repo": "ghp_canary ghp_canary"}]
    for body in bodies:
        with pytest.raises(Invalid) as refusal:
            decode.execute(body)
        assert "canary" not in f"{refusal.value.message}{refusal.value.details}{refusal.value.__cause__}"


@given(st.text(max_size=40))
def test_a_job_id_is_a_uuid_or_no_job(text: str) -> None:
    with pytest.raises(NotFound):
        decode.job_id(text)


def test_a_job_id_is_read_in_either_spelling() -> None:
    assert decode.job_id(JOB) == decode.job_id(JOB.upper()) == decode.job_id(TASK) == TASK


def test_the_header_of_a_resuming_client_wins_over_the_address() -> None:
    assert decode.place("k-2", MultiDict({"lastEventId": "k-1", "from": "k-7"})).after == Cursor("k", 2)
    assert decode.place(None, MultiDict({"lastEventId": "k-1"})).after == Cursor("k", 1)
    assert decode.place("", MultiDict({"lastEventId": ""})).after is None


def test_a_speed_is_the_one_that_is_named_else_that_of_the_route() -> None:
    assert [decode.place(None, MultiDict(query), 1.0).speed for query in ({"speed": "2.5"}, {})] == [2.5, 1.0]
    assert decode.place(None, MultiDict()).speed is None


@pytest.mark.parametrize("status", TaskStatus)
def test_every_status_has_a_word_of_the_document(status: TaskStatus) -> None:
    assert encode.STATUS[status] in {"pending", "running", "success", "failed"}


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (Said.MESSAGE, "message"), (Said.THINKING, "thinking"), (Said.TOOL_CALL, "tool_call"),
        (Said.TOOL_RESULT, "tool_result"), (Said.NOTICE, "message"), (Said.RAW, "message"),
    ],
)  # fmt: skip
def test_every_kind_of_output_has_a_word_of_the_document(kind: Said, word: str) -> None:
    assert said(AgentOutput(attempt=1, line=1, kind=kind, display="d"))["eventType"] == word


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_output_can_break_out_of_its_data_line(text: str) -> None:
    frame = encode.frame(event(AgentOutput(attempt=1, line=1, kind=Said.RAW, display=text, text=text)))
    assert frame.endswith(b"\n\n")
    assert len(frame[:-2].splitlines()) == 2
    assert said(AgentOutput(attempt=1, line=1, kind=Said.RAW, display=text, text=text)).get("output", "") == text


def test_what_is_unknown_is_null_or_absent_and_never_invented() -> None:
    result = RunResult(
        branch="b", base="main", commit="c", pull_request=1, pull_request_url="u", files_changed=1,
        additions=1, deletions=0, sandbox_id="s", sandbox_seconds=1.23456,
    )  # fmt: skip
    told = said(TaskSucceeded(result=result))["result"]
    assert told["estimatedCostUsd"] is None
    assert told["sandboxDurationSeconds"] == 1.235
    assert not any(name.startswith("llm") for name in told)


def test_every_fact_is_either_an_event_or_nothing() -> None:
    shown = {"task.submitted", "task.retry_scheduled", "task.stop_requested", "task.succeeded", "task.failed", "task.cancelled",
             "run.phase_began", "run.sandbox_ready", "output.said", "task.held", "task.released", "run.waits", "run.goes_on",
             "run.parked", "run.woken", "run.interrupted", "inbox.taken", "run.approval_wanted", "run.approval_dropped",
             "run.call_answered", "run.rule_granted", "run.budget_raised", "run.push_judged"}  # fmt: skip
    silent = {"task.assigned", "task.started", "run.claimed", "run.cloned", "run.agent_started", "run.agent_ended", "run.committed",
              "run.pushed", "run.pull_request_opened", "run.succeeded", "run.failed", "run.stopped", "approval.requested",
              "approval.decided", "approval.voted", "approval.escalated", "approval.overdue", "approval.withdrawn", "task.hold_dropped",
              "task.sla_breached", "task.child_added", "event.published", "task.waits", "task.goes_on", "inbox.queued", "inbox.edited",
              "inbox.withdrawn", "inbox.reordered", "inbox.delivered", "inbox.steered", "inbox.closed",
              "inbox.returned", "spend.model_answered", "pull.ended", "run.snapshot_kept",
              "task.leased", "task.lease_over", "task.answered", "task.delayed",
              "task.awaits_place", "task.place_given", "run.snapshot_missed", "run.agent_checked"}  # fmt: skip
    apart = (sandbox.__name__, image.__name__, room.__name__)  # on no task's timeline
    apart += (instance.__name__, dispatch.__name__)  # conversations are for those who take part; how it goes, the task says
    silent |= {str(fact.model_fields["type"].default) for fact in FACTS if fact.__module__ in apart}
    assert {fact.model_fields["type"].default for fact in FACTS} == shown | silent, "say here what the new fact means to pr_agent"
    told = {kind for fact in FACTS if encode.frame(event(made(fact))) and (kind := fact.model_fields["type"].default)}
    assert told == shown - {"run.waits", "run.push_judged"}, "a wait for a call is told by its question, a push that is cleared by itself"
    assert said(RunWaits(attempt=1, why=Wait.PAUSED)) | {"timestamp": 0} == {
        "type": "status", "timestamp": 0, "jobId": JOB, "status": "running", "message": "Paused",
    }  # fmt: skip
    assert said(PushJudged(attempt=1, commit="c", digest="d", cleared=False, reasons=("CODEOWNERS changes",)))["status"] == "running"
    assert encode.frame(event(UnknownFact(type="task.from_tomorrow"))) == b""


def test_a_time_is_written_in_utc_with_milliseconds() -> None:
    local = datetime(2025, 1, 12, 11, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=1)))
    assert encode.moment(local) == "2025-01-12T10:00:00.123Z"


def test_a_job_is_written_flat_and_once_more_under_job() -> None:
    view = TaskView(
        tenant="public", task_id=TASK, assignment=Assignment(repo="o/n", prompt="t"), submitted_by="x",
        submitted_at=AT, updated_at=AT, seq=1,
    )  # fmt: skip
    told = encode.job(view)
    inner = told.pop("job")
    assert told == inner
    assert (told["id"], told["status"], told["completedAt"]) == (JOB, "pending", None)


def test_a_job_shows_what_its_models_cost_before_the_agent_says_it_itself() -> None:
    view = TaskView(
        tenant="public", task_id=TASK, assignment=Assignment(repo="o/n", prompt="t"), submitted_by="x", submitted_at=AT, updated_at=AT,
        seq=1, spent_usd=0.25, input_tokens=9, output_tokens=3,
    )  # fmt: skip
    told = encode.job(view)
    assert (told["estimatedCostUsd"], told["llmInputTokens"], told["llmOutputTokens"], told["llmModel"]) == (0.25, 9, 3, None)


def test_a_gap_has_no_id_of_its_own() -> None:
    frame = encode.gap(Gap(Cursor("a", 1), Cursor("b", 9)), TASK, AT)
    assert frame.startswith(b"data: ")
    assert frame.count(b"\n") == 2


def test_a_defect_of_ours_says_nothing_of_itself() -> None:
    assert encode.error(Broken("sorry", code="X", secret="s")) == {
        "error": "sorry", "message": "sorry", "code": "INTERNAL_ERROR", "details": {},
    }  # fmt: skip


def test_an_absent_owner_is_named() -> None:
    assert encode.error(Unavailable("away", code="NO_OWNER", service="router"))["details"] == {"service": "router"}
