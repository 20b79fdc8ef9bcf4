"""Deliveries: ten tries over three days, told apart by what was answered; hosts that fail rest, those that are slow get less."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from tests.unit.relay.timelines import RESULT, submitted
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Event
from trunkline.contracts.run import AgentEnded, Usage
from trunkline.contracts.task import TaskCancelled, TaskFailed, TaskSucceeded
from trunkline.contracts.webhook import Answered, DeliveryStatus, DeliveryView
from trunkline_relay.model import trying
from trunkline_relay.model.hook_payload import LONGEST, Subject, body
from trunkline_relay.model.hosts import FAILURES, Host
from trunkline_relay.model.trying import PAUSES_S, TRIES, Attempt

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
    assert not trying.to_do(trying.after(FRESH, answered(200), 0).model_dump_json().encode())


def test_a_host_that_fails_five_times_rests_and_is_probed_by_one() -> None:
    host = Host(slots=4)
    for _ in range(FAILURES):
        host.end(host.begin(0.0), 0.1, well=False, roll=0.0)
    assert not host.free(5.0)
    assert host.free(10.2)
    probe = host.begin(10.2)
    assert not host.free(10.2), "one probe at a time"
    host.end(probe, 10.3, well=False, roll=0.0)
    assert not host.free(30.2), "twice as long"
    host.end(host.begin(30.4), 30.5, well=True, roll=0.0)
    assert host.free(30.5)
    assert host.idle


@pytest.mark.parametrize("at_once", [FAILURES, 8, 32])
def test_requests_that_were_under_way_when_a_host_failed_make_its_rest_no_longer(at_once: int) -> None:
    host = Host(slots=32)
    for number in [host.begin(0.0) for _ in range(at_once)]:
        host.end(number, 0.1, well=False, roll=0.0)
    assert not host.free(10.0)
    assert host.free(10.2), "its first rest"
    probe = host.begin(10.2)
    host.end(probe, 10.3, well=False, roll=0.0)
    assert not host.free(30.2)
    assert host.free(30.4), "only the probe made the next one longer"


def test_an_old_request_that_fails_late_does_not_end_the_probe() -> None:
    host = Host(slots=32)
    old = host.begin(0.0)
    for _ in range(FAILURES):
        host.end(host.begin(0.0), 0.1, well=False, roll=0.0)
    host.begin(10.2)
    host.end(old, 10.3, well=False, roll=0.0)
    assert not host.free(10.4), "one probe at a time"


def test_a_slow_host_gets_a_quarter_and_nobody_waits_for_it() -> None:
    host = Host(slots=8)
    for _ in range(8):
        host.begin(0.0)
    assert host.soon(0, 0.5)
    assert not host.soon(0, 1.5)
    for number in range(1, 8):
        host.end(number, 2.0, well=True, roll=0.0)
    assert host.free(2.0)
    host.begin(2.0)
    assert not host.free(2.0)


def test_a_probe_that_teaches_nothing_lets_another_go() -> None:
    host = Host(slots=1, failures=FAILURES)
    host.end(host.begin(1.0), 1.1, well=None, roll=0.0)
    assert host.free(1.2)


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


def test_a_long_error_is_cut() -> None:
    told = body(event(TaskFailed(code="X", error="é" * 100_000)), Subject("ann", "", "", ""), "task.failed", "")
    assert len(told.encode()) < LONGEST
    assert '"error":"ééé' in told
