"""Deliveries: ten tries over three days, told apart by what was answered, and what is told of those that wait or are given up on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from tests.each import each
from tests.unit.relay.timelines import RESULT, submitted
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event
from trunkline.contracts.run import AgentEnded, RunResult, Usage
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskSucceeded
from trunkline.contracts.webhook import Answered, DeliveryStatus, DeliveryView
from trunkline_relay.model import hook_events, hook_payload, trying
from trunkline_relay.model.hook_payload import LONGEST, Subject, body
from trunkline_relay.model.trying import PAUSES_S, TRIES, Attempt

GOLDENS = Path(__file__).parents[2] / "contracts" / "goldens"
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
FRESH = DeliveryView(
    status=DeliveryStatus.PENDING,
    id="dlv_1",
    hook_id="wh_1",
    tenant="acme",
    type="task.created",
    event="e-1",
    body="{}",
    created_at=NOON,
    begun_at=NOON,
)


def answered(status: int, **headers: str) -> Attempt:
    return Attempt(NOON, 5, Answered(status=status, headers={name.replace("_", "-"): text for name, text in headers.items()}))


def test_ten_tries_over_three_days_and_then_a_dead_letter() -> None:
    delivery, now = FRESH, NOON
    for pause in PAUSES_S:
        delivery = trying.after(delivery, replace(answered(500), at=now), 0.0)
        assert delivery.status is DeliveryStatus.RETRYING
        assert delivery.next_try_at == now + timedelta(seconds=pause)
        now = delivery.next_try_at
    assert timedelta(days=3) < now - NOON < trying.LIFE
    delivery = trying.after(delivery, replace(answered(500), at=now), 0.0)
    assert (delivery.status, delivery.tries, len(delivery.history)) == (DeliveryStatus.DEAD, TRIES, TRIES)
    assert delivery.problem == "10 tries failed; at last it answered 500"
    assert trying.too_old(delivery, NOON + timedelta(days=5))


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_success_delivers(status: int) -> None:
    assert trying.after(FRESH, answered(status), 0.5).status is DeliveryStatus.DELIVERED


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500])
def test_redirects_and_refusals_are_failures(status: int) -> None:
    assert trying.after(FRESH, answered(status), 0.5).status is DeliveryStatus.RETRYING


def test_410_ends_it_at_once() -> None:
    assert trying.after(FRESH, answered(410), 0.5).status is DeliveryStatus.DEAD


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [
        (answered(503, retry_after="120"), 120),
        (answered(429, retry_after="Fri, 01 May 2026 12:05:00 GMT"), 300),
        (answered(503, retry_after="99999999"), 86400),
        (answered(503, retry_after="-5"), 5),
        (answered(503, retry_after="soon"), 5),
        (answered(500, retry_after="120"), 5),
        (Attempt(NOON, 5, None, "no answer", True), 5),
    ],
)
def test_a_subscriber_may_say_when_to_come_again(attempt: Attempt, seconds: int) -> None:
    assert trying.after(FRESH, attempt, 0.0).next_try_at == NOON + timedelta(seconds=seconds)


def test_chance_makes_pauses_longer_and_never_shorter() -> None:
    assert trying.after(FRESH, answered(500), 1.0).next_try_at == NOON + timedelta(seconds=5.5)


def test_what_is_sent_again_begins_anew_under_the_same_id() -> None:
    dead = trying.dead(FRESH.model_copy(update={"tries": 10}), NOON, "x")
    again = trying.again(dead, NOON + timedelta(days=1))
    assert (again.id, again.status, again.tries, again.round, again.problem) == ("dlv_1", DeliveryStatus.PENDING, 0, 1, "")


def test_what_there_is_to_do_shows_in_the_first_bytes_of_a_record() -> None:
    assert trying.to_do(FRESH.model_dump_json().encode())
    assert trying.to_do(FRESH.model_dump_json(exclude={"put_off"}).encode()), "as it was written before"
    assert not trying.to_do(trying.after(FRESH, answered(200), 0).model_dump_json().encode())


def test_what_is_put_off_says_why_it_waits_and_is_not_handed_out_again() -> None:
    later = trying.put_off(FRESH, NOON + timedelta(seconds=30), "its address is slow")
    assert (later.status, later.tries, later.put_off) == (DeliveryStatus.PENDING, 0, 1)
    assert later.next_try_at == NOON + timedelta(seconds=30)
    assert later.problem == "waits, and was not tried yet: its address is slow"
    assert not trying.to_do(later.model_dump_json().encode())
    tried = trying.after(later, answered(500), 0.0)
    assert (tried.put_off, tried.problem, tried.history[0].error) == (0, "", "it answered 500")
    assert trying.put_off(tried, NOON, "its address is slow").problem == "waits to be tried again: its address is slow"
    assert trying.to_do(trying.again(later, NOON).model_dump_json().encode())


def test_four_days_of_waiting_end_with_a_sentence_that_says_what_was_tried() -> None:
    why = "nothing answers at its host"
    never = trying.never_tried(FRESH, NOON, why)
    assert (never.status, never.tries) == (DeliveryStatus.DEAD, 0)
    assert never.problem == "it could not be tried once in four days: nothing answers at its host"
    once = trying.never_tried(trying.after(FRESH, answered(500), 0.0), NOON, why)
    assert once.problem.startswith("one try failed, at last it answered 500; then it waited until it was too old: nothing")
    assert trying.disabled(FRESH, NOON).problem == "its webhook was disabled before it was tried"


def test_one_that_failed_is_not_kept_for_a_try_that_would_come_after_four_days() -> None:
    old = FRESH.model_copy(update={"begun_at": NOON - trying.LIFE + timedelta(seconds=6)})
    once = trying.after(old, answered(500), 0.0)
    assert once.status is DeliveryStatus.RETRYING
    twice = trying.after(once, answered(503), 0.0)
    assert (twice.status, twice.problem) == (DeliveryStatus.DEAD, "2 tries failed within four days; at last it answered 503")


def test_a_timer_of_what_waits_grows_from_half_a_minute_to_five_minutes() -> None:
    assert [trying.put_off_s(times, trying.NO_ROOM_S, 0.0) for times in (0, 1, 2, 3, 4, 1000)] == [30, 60, 120, 240, 300, 300]
    assert trying.put_off_s(1000, trying.NO_ROOM_S, 1.0) == 600


def event(fact: Fact) -> Event:
    return Event(Cursor("e1", 7), TenantId("acme"), TaskId("0123456789abcdef0123456789abcdef"), "task", NOON, fact)


def test_a_payload_is_thin_and_holds_nothing_that_was_said_to_an_agent() -> None:
    told = body(
        event(submitted(prompt="the secret plan " * 2000)), Subject("ann", "pr_agent", "acme/shop", ""), "task.created", "http://here"
    )
    assert len(told) < 1000
    assert "secret plan" not in told
    assert '"job_id":"01234567-89ab-cdef-0123-456789abcdef"' in told


def test_a_job_that_was_cancelled_has_failed_as_its_own_surface_says_and_a_task_was_cancelled() -> None:
    fact, ann = TaskCancelled(by="ann", reason="no need"), Subject("ann", "pr_agent", "acme/shop", "")
    job, whole = (orjson.loads(body(event(fact), ann, name, ""))["data"] for name in ("job.failed", "task.cancelled"))
    assert (job["status"], job["code"], job["errorCode"], job["error"]) == ("failed", "CANCELLED", "CANCELLED", "Cancelled: no need")
    assert (whole["status"], whole["reason"], "code" in whole) == ("cancelled", "no need", False)
    failed = orjson.loads(body(event(TaskFailed(code="X", error="it broke")), ann, "job.failed", ""))["data"]
    assert (failed["status"], failed["code"], failed["errorCode"], failed["error"]) == ("failed", "X", "X", "it broke")


def test_what_a_task_used_is_told_as_jobs_tell_it_and_what_an_agent_claims_is_not() -> None:
    ann, used = Subject("ann", "pr_agent", "acme/shop", ""), Usage(model="m-1", input_tokens=900, output_tokens=40, cost_usd=0.0021)
    for name in ("job.completed", "task.completed"):
        told = orjson.loads(body(event(TaskSucceeded(result=RESULT.model_copy(update={"usage": used}))), ann, name, ""))["data"]["result"]
        words = ("estimatedCostUsd", "llmModel", "llmInputTokens", "llmOutputTokens")
        assert (*(told[word] for word in words), told["pull_request"]) == (0.0021, "m-1", 900, 40, RESULT.pull_request)
    nothing = orjson.loads(body(event(TaskSucceeded(result=RESULT)), ann, "job.completed", ""))["data"]["result"]
    assert (nothing["estimatedCostUsd"], "llmModel" in nothing, "usage" in nothing) == (None, False, False)
    claimed = body(event(AgentEnded(summary="done", usage=used)), ann, "run.agent_ended", "")
    assert "m-1" not in claimed
    assert "usage" not in claimed


def test_a_task_without_a_repository_tells_no_size_of_a_change() -> None:
    result = RunResult(sandbox_id="sbx-1", sandbox_seconds=2.5, summary="It is 4.")
    told = orjson.loads(body(event(TaskSucceeded(result=result)), Subject("ann", "omni", "", ""), "job.completed", ""))["data"]["result"]
    assert [told[name] for name in ("files_changed", "additions", "deletions")] == [None] * 3
    assert not told.keys() & {"branch", "commit", "pull_request"}


@each("kind", hook_events.WORDS)
def test_every_fact_is_told_as_pydantic_writes_it(kind: type[Fact]) -> None:
    fact = kind.model_validate_json((GOLDENS / f"{kind.__name__}.json").read_bytes())
    assert hook_payload._plain(fact) == fact.model_dump(mode="json", exclude=set(hook_payload._TOLD_NOT))


def test_a_long_error_is_cut() -> None:
    told = body(event(TaskFailed(code="X", error="é" * 100_000)), Subject("ann", "", "", ""), "task.failed", "")
    assert len(told.encode()) < LONGEST
    assert '"error":"ééé' in told
