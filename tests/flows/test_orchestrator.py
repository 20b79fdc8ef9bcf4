"""The orchestrator's surface over the whole product: every request of its document, and what happens behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import jwt
import pytest
import requests

from tests.dialects.orchestrator.asking import check
from tests.stopping import standing_still
from trunkline.testing.stack import Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

SECRET = "a secret of thirty-two bytes or more"
KEY = "key-of-the-ops-agent"
SETTINGS = {"ORCHESTRATOR_JWT_SECRET": SECRET, "ORCHESTRATOR_API_KEY_OPS_AGENT": f"{KEY}:agent", "TRUNKLINE_RATE_LIMITS": "off"}


KEYED = {"Idempotency-Key": "while-it-stood-still"}


def token(subject: str, role: str, **claims: object) -> str:
    """Made as the document's samples make theirs."""
    now = int(time.time())
    return jwt.encode({"sub": subject, "role": role, "iat": now, "exp": now + 3600, **claims}, SECRET, algorithm="HS256")


@dataclass(frozen=True)
class Person:
    """Somebody with a credential; every answer is held against what its route promises."""

    url: str
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, what: str, body: object = None, **headers: str) -> tuple[int, Any]:
        method, path = what.split(" ", 1)
        sent = {"Accept": "application/json", **self.headers, **headers}
        answer = requests.request(method, self.url + path, json=body, headers=sent, timeout=20)
        check(what, answer.status_code, answer.text)
        return answer.status_code, answer.json()

    def done(self, what: str, body: object = None, **headers: str) -> Any:
        status, said = self.ask(what, body, **headers)
        assert status == 200, said
        return said

    def task(self, **fields: object) -> dict[str, Any]:
        taken: dict[str, Any] = self.done("POST /tasks", {"type": "bugfix", "payload": {"issue": "123"}, **fields})
        return taken

    def read(self, task_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.done(f"GET /tasks/{task_id}")["task"]
        return found

    def events(self, task_id: str) -> list[str]:
        return [event["event_type"] for event in self.done(f"GET /tasks/{task_id}/events?limit=1000")["events"]]


@dataclass(frozen=True)
class Office:
    running: Stack

    def person(self, subject: str, role: str, **claims: object) -> Person:
        return Person(self.running.url, {"Authorization": f"Bearer {token(subject, role, **claims)}"})

    @property
    def agent(self) -> Person:
        return self.person("dev-agent-1", "agent")

    @property
    def approver(self) -> Person:
        return self.person("eve", "approver")

    @property
    def stranger(self) -> Person:
        return Person(self.running.url)


@pytest.fixture(scope="module")
def office() -> Iterator[Office]:
    with stack(SETTINGS) as running:
        yield Office(running)


def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_every_request_of_the_document_is_answered_as_it_says(office: Office) -> None:
    agent, approver, stranger = office.agent, office.approver, office.stranger
    assert stranger.done("GET /health").items() >= {"status": "healthy", "redis": "connected"}.items()
    made = agent.done(
        "POST /tasks",
        {
            "type": "bugfix",
            "payload": {"issue": "123", "description": "Fix login bug", "priority": "high"},
            "priority": "P1",
            "source": "github",
            "sla_target": 3600,
            "metadata": {"repo": "morningai", "branch": "main"},
        },
    )
    task, approval = made["task_id"], made["approval_id"]
    assert made["message"] == "Task created and assigned to dev_agent"
    assert made["task"].items() >= {"type": "bugfix", "status": "assigned", "assigned_agent": "dev_agent", "priority": "P1"}.items()
    assert agent.read(task) == made["task"]
    pending = agent.done("GET /approvals/pending")["approvals"]
    assert [one["status"] for one in pending if one["approval_id"] == approval] == ["pending"]
    assert approver.done(f"POST /approvals/{approval}/approve")["message"] == "Approved by eve"
    assert approver.done(f"GET /approvals/{approval}")["approval"]["approved_by"] == "eve"
    until(lambda: agent.read(task)["approval_status"] == "approved" and "task.released" in agent.events(task))
    for status in ("in_progress", "completed"):
        assert agent.done(f"PATCH /tasks/{task}/status?status={status}") == {"success": True, "task_id": task, "status": status}
        published = {"event_type": "deployment.completed", "source_agent": "ops_agent", "payload": {"n": 1}, "task_id": task}
        assert agent.done("POST /events/publish", published)["message"] == "Event published successfully"
    assert approval in [one["approval_id"] for one in agent.done("GET /approvals/history?limit=10")["history"]]
    counted = stranger.done("GET /stats")["queue"]
    assert counted["total_tasks"] >= 1
    assert agent.events(task) == [
        "task.created", "task.assigned", "task.approval_required", "approval.requested", "approval.decided", "task.released",
        "task.in_progress", "deployment.completed", "task.completed", "deployment.completed",
    ]  # fmt: skip


@pytest.mark.parametrize("asked", ["faq", "faq_update", "FAQ"])
def test_a_list_finds_a_type_whichever_word_was_sent_for_it_and_shows_that_word(office: Office, asked: str) -> None:
    made = office.agent.task(type="faq")["task_id"]
    found = office.agent.done(f"GET /tasks?type={asked}&limit=1")["tasks"]
    assert [(one["task_id"], one["type"], one["assigned_agent"]) for one in found] == [(made, "faq", "faq_agent")]


def test_a_held_task_waits_and_a_refusal_ends_it(office: Office) -> None:
    made = office.agent.task(priority="P0")
    task, approval = made["task_id"], made["approval_id"]
    assert office.agent.ask(f"PATCH /tasks/{task}/status?status=in_progress")[0] == 409
    assert office.agent.ask(f"POST /approvals/{approval}/approve")[0] == 403
    assert office.person("dashboard", "user").ask(f"POST /approvals/{approval}/approve")[0] == 403
    assert office.approver.done(f"POST /approvals/{approval}/reject?reason=Security+concerns")["message"] == "Rejected by eve"
    until(lambda: office.agent.read(task)["status"] == "cancelled")
    assert office.agent.read(task).items() >= {"error": "Security concerns", "approval_status": "rejected"}.items()
    assert office.approver.ask(f"POST /approvals/{approval}/approve")[0] == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "deployment", "payload": {"environment": "production"}},
        {"type": "feature", "payload": {"environment": "production"}},
        {"type": "refactor", "payload": {"environment": "production"}},
        {"metadata": {"feature_flag_change": True}},
    ],
    ids=str,
)
def test_what_reaches_production_or_flags_is_held(office: Office, fields: dict[str, object]) -> None:
    assert office.agent.task(priority="P3", **fields)["requires_approval"] is True


def test_sixty_four_at_once_decide_once(office: Office) -> None:
    made = office.agent.task(priority="P1")
    gate = threading.Barrier(64)

    def decide(number: int) -> int:
        person = office.person(f"approver-{number}", "approver")
        gate.wait(30)
        return person.ask(f"POST /approvals/{made['approval_id']}/{('approve', 'reject')[number % 2]}")[0]

    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(decide, range(64)))
    assert sorted(answers) == [200, *[404] * 63]
    assert office.agent.events(made["task_id"]).count("approval.decided") == 1


def test_a_failure_is_tried_again_and_then_it_is_one(office: Office) -> None:
    task = office.agent.task(max_retries=1)["task_id"]
    office.agent.done(f"PATCH /tasks/{task}/status?status=in_progress")
    office.agent.done(f"PATCH /tasks/{task}/status?status=failed&error=no+disk")
    assert office.agent.read(task)["status"] == "pending"
    until(lambda: office.agent.read(task)["status"] == "assigned")
    assert office.agent.read(task)["retry_count"] == 1
    office.agent.done(f"PATCH /tasks/{task}/status?status=failed")
    assert office.agent.read(task).items() >= {"status": "failed", "error": "Unknown error", "retry_count": 1}.items()
    assert office.agent.ask(f"PATCH /tasks/{task}/status?status=completed")[0] == 409


def test_a_promise_that_is_broken_is_a_fact_and_stops_nothing(office: Office) -> None:
    task = office.agent.task(sla_target=1)["task_id"]
    until(lambda: office.agent.read(task)["sla"]["breached"])
    assert "task.sla_breached" in office.agent.events(task)
    assert office.agent.done(f"PATCH /tasks/{task}/status?status=completed")


def test_parts_of_a_task_are_known_and_go_with_it(office: Office) -> None:
    parent = office.agent.task()["task_id"]
    parts = [office.agent.task(parent_task_id=parent)["task_id"], office.agent.task(metadata={"parent_task_id": parent})["task_id"]]
    assert office.agent.read(parent)["child_task_ids"] == parts
    assert office.agent.done(f"GET /tasks?parent_task_id={parent}")["total"] == 2
    office.agent.done(f"PATCH /tasks/{parts[0]}/status?status=completed")
    assert office.agent.done(f"POST /tasks/{parent}/cancel", {"reason": "not needed"})["status"] == "cancelled"
    until(lambda: office.agent.read(parts[1])["status"] == "cancelled")
    assert office.agent.read(parts[0])["status"] == "completed"


def test_a_reader_of_the_stream_sees_it_all_in_order_and_goes_on_where_it_was(office: Office) -> None:
    agent = office.agent
    task = agent.task()["task_id"]
    url, headers = f"{office.running.url}/tasks/{task}/events", {**agent.headers, "Accept": "text/event-stream"}
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(lambda: requests.get(url, headers=headers, timeout=30).text)
        agent.done(f"PATCH /tasks/{task}/status?status=in_progress")
        for number in range(5):
            event = {"event_type": "step.done", "source_agent": "dev_agent", "payload": {"number": number}, "task_id": task}
            agent.done("POST /events/publish", event)
        agent.done(f"PATCH /tasks/{task}/status?status=completed")
        whole = reading.result()
    names = [line[7:] for line in whole.split("\n") if line.startswith("event: ")]
    ids = [line[4:] for line in whole.split("\n") if line.startswith("id: ")]
    assert names == ["task.created", "task.assigned", "task.in_progress", *["step.done"] * 5, "task.completed"]
    for number, id in enumerate(ids):
        rest = requests.get(url, headers={**headers, "Last-Event-ID": id}, timeout=30).text
        assert [line[4:] for line in rest.split("\n") if line.startswith("id: ")] == ids[number + 1 :]


def test_an_api_key_says_who_asks_and_the_body_does_not(office: Office) -> None:
    ops = Person(office.running.url, {"X-API-Key": KEY})
    made = ops.task(metadata={"user_id": "root"}, created_by="root")
    assert made["task"]["created_by"] == "ops_agent"
    assert ops.done("GET /auth/me") == {"user_id": "ops_agent", "role": "agent", "tenant": "public", "tier": "authenticated"}


def test_a_token_is_given_for_proof_and_revoked_for_good(office: Office) -> None:
    wish = {"user_id": "your-user-id", "role": "agent"}
    assert office.stranger.ask("POST /auth/token", wish)[0] == 401
    minted = office.stranger.done("POST /auth/token", {**wish, "secret": SECRET})
    mine = Person(office.running.url, {"Authorization": f"Bearer {minted['access_token']}"})
    assert mine.done("GET /auth/me")["user_id"] == "your-user-id"
    assert mine.done("POST /auth/revoke", {"token": minted["token"]})["success"] is True
    until(lambda: mine.ask("GET /auth/me")[0] == 401)


def test_another_tenant_sees_nothing_of_it(office: Office) -> None:
    made = office.agent.task(priority="P0", trace_id="canary-trace", payload={"description": "canary"})
    task, approval = made["task_id"], made["approval_id"]
    other = office.person("mallory", "admin", tenant="other")
    asked = (
        f"GET /tasks/{task}", f"GET /tasks/{task}/events", f"PATCH /tasks/{task}/status?status=completed", f"POST /tasks/{task}/cancel",
        f"GET /approvals/{approval}", f"POST /approvals/{approval}/approve", "GET /traces/canary-trace",
    )  # fmt: skip
    for what in asked:
        missing = what.replace(task[5:], "f" * 32).replace("canary-trace", "no-trace")
        assert other.ask(what) == other.ask(missing)
        assert other.ask(what)[0] == 404
    for path in ("/tasks", "/approvals/pending", "/approvals/history"):
        said = other.done(f"GET {path}")
        assert (said["total"], "canary" in str(said)) == (0, False)


def test_a_list_is_walked_by_its_cursor_while_it_grows(office: Office) -> None:
    made = [office.agent.task(trace_id="walk")["task_id"] for _ in range(25)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = office.agent.done(f"GET /tasks?trace_id=walk&limit=10&cursor={cursor}")
        seen += [task["task_id"] for task in page["tasks"]]
        office.agent.task(trace_id="walk")
        cursor = page["next_cursor"]
    assert seen == made[::-1]
    trace = office.agent.done("GET /traces/walk")
    assert trace["task_count"] == 28


def test_the_same_key_makes_one_task(office: Office) -> None:
    body = {"type": "bugfix", "payload": {}, "priority": "P1"}
    answers = [office.agent.ask("POST /tasks", body, **{"Idempotency-Key": "key-1"}) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert office.agent.ask("POST /tasks", {**body, "priority": "P2"}, **{"Idempotency-Key": "key-1"})[0] == 422


@pytest.mark.kill
def test_a_question_outlives_the_service_that_asked_it(office: Office) -> None:
    made = office.agent.task(priority="P0")
    office.running.kill("approvals")
    until(lambda: office.stranger.ask("GET /health")[0] == 200, 30)
    assert office.approver.done(f"POST /approvals/{made['approval_id']}/approve")["message"] == "Approved by eve"
    until(lambda: "task.released" in office.agent.events(made["task_id"]))
    assert office.agent.done(f"PATCH /tasks/{made['task_id']}/status?status=in_progress")


@pytest.mark.kill
def test_a_bus_that_stands_still_is_told_of_within_the_time_that_clients_wait(office: Office) -> None:
    """All at once; a monitor reads it from the names that it knows."""
    made = office.agent.task(priority="P0")
    task, admin = made["task_id"], office.person("root", "admin")
    decide, cancel = f"POST /approvals/{made['approval_id']}/approve", f"POST /tasks/{task}/cancel"
    reads = [f"GET /tasks/{task}", f"GET /tasks/{task}/events", "GET /tasks", "GET /stats", "GET /health"]
    new = ("POST /tasks", {"type": "bugfix", "payload": {}, "trace_id": "made-while-it-stood-still"})
    wishes = [*((read, None) for read in reads), (decide, {}), (cancel, None), ("POST /auth/revoke", {"user_id": "nobody"}), new]

    def asked(wish: tuple[str, object]) -> tuple[str, int, float, Any]:
        began = time.monotonic()
        status, said = admin.ask(*wish, **KEYED) if wish is new else admin.ask(*wish)
        return wish[0], status, time.monotonic() - began, said

    with standing_still(office.running.pid("nats-server")), ThreadPoolExecutor(len(wishes)) as hands:
        found = list(hands.map(asked, wishes))
    assert [(what, took) for what, status, took, _ in found if status != 503 or took > 12] == []  # ten, on a machine with others
    assert next(said["redis"] for what, _, _, said in found if what == "GET /health") == "disconnected"
    office.running.await_ready()
    assert office.agent.read(task)["status"] in ("assigned", "pending")
    repeated = admin.done(*new, **KEYED)["task_id"]
    assert [one["task_id"] for one in admin.done("GET /tasks?trace_id=made-while-it-stood-still")["tasks"]] == [repeated]
