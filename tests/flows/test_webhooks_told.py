"""Webhooks over the whole product: made over HTTP, asked for their handshake, told what happens, signed, and told again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import jwt
import pytest
import requests

from tests.architecture.source import ROOT
from tests.flows.subscriber import WITHIN, Subscriber, subscriber
from trunkline.testing.nats import free_port
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack
from trunkline_cli.__main__ import main

pytestmark = [pytest.mark.flow, pytest.mark.timeout(180)]

SECRET = "a secret of thirty-two bytes or more"
GUIDE = (ROOT / "docs" / "how-to" / "receive-webhooks.md").read_text()
OWN = "/api/pr-agent/webhooks"
ENVIRONMENT = {
    "ORCHESTRATOR_JWT_SECRET": SECRET,
    "TRUNKLINE_RATE_LIMITS": "off",
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": "sh -c 'echo more >> README.md'",
    "TRUNKLINE_WEBHOOK_NETWORKS_ALLOWED": "127.0.0.0/8",
}


@dataclass(frozen=True)
class Person:
    """Somebody of a tenant, in a role; a tenant of its own is a stack of its own."""

    running: Stack
    role: str
    tenant: str
    subject: str = "ann"

    def token(self) -> str:
        now = int(time.time())
        claims = {"sub": self.subject, "role": self.role, "tenant": self.tenant, "iat": now, "exp": now + 3600}
        return jwt.encode(claims, SECRET, algorithm="HS256")

    def ask(self, what: str, body: object = None, **headers: str) -> tuple[int, Any]:
        method, path = what.split(" ", 1)
        sent = {"Authorization": f"Bearer {self.token()}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = requests.request(method, self.running.url + path, json=body, headers=sent, timeout=20)
        return answer.status_code, answer.json()

    def made(self, url: str, *events: str, **more: object) -> dict[str, Any]:
        """A webhook of the tenant that has answered its handshake."""
        status, made = self.ask("POST /webhooks", {"url": url, "events": list(events), **more})
        assert status == 201, made
        self.await_status(made["webhook_id"], "active")
        return dict(made)

    def await_status(self, hook: str, status: str) -> dict[str, Any]:
        return until(lambda: self.ask(f"GET /webhooks/{hook}")[1]["webhook"], lambda told: told["status"] == status)

    def completed(self) -> str:
        """A task that an agent elsewhere has done."""
        agent = Person(self.running, "agent", self.tenant, "dev-agent-1")
        status, made = agent.ask("POST /tasks", {"type": "bugfix", "payload": {}})
        assert status == 200, made
        for word in ("in_progress", "completed"):
            assert agent.ask(f"PATCH /tasks/{made['task_id']}/status?status={word}")[0] == 200
        return str(made["task_id"])


def until(read: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + WITHIN
    while not good(found := read()):
        assert time.monotonic() < deadline, json.dumps(found)
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT, *ONE_PROCESS) as running:
        make_bare(running.forge, "acme/shop", {"README.md": "sample\n"})
        yield running


@pytest.fixture
def told() -> Iterator[Subscriber]:
    with subscriber() as found:
        yield found


@pytest.fixture
def admin(running: Stack) -> Person:
    return Person(running, "admin", f"t-{uuid4().hex[:8]}")


def test_on_a_fresh_installation_nothing_was_sent_and_that_is_said_at_once(admin: Person, told: Subscriber) -> None:
    hook = admin.made(told.url(), "*")["webhook_id"]
    for status in ("", "?status=dead"):
        said, listed = admin.ask(f"GET /webhooks/{hook}/deliveries{status}")
        assert (said, listed) == (200, {"success": True, "count": 0, "total": None if status else 0, "deliveries": [], "next_cursor": None})
    assert admin.ask(f"POST /webhooks/{hook}/redeliver")[1]["count"] == 0


def test_whoever_is_told_of_an_agents_question_can_answer_it(admin: Person, told: Subscriber) -> None:
    admin.made(told.url(), "approval.requested")
    agent, instance = Person(admin.running, "agent", admin.tenant, "dev-agent-1"), str(uuid4())
    asks = {"agent_instance_id": instance, "agent_type": "claude", "content": "tabs or spaces?", "requires_user_input": True}
    status, asked = agent.ask("POST /api/v1/messages/agent", asks)
    assert status == 200, asked
    approval = told.await_told("/hook")[0].event["data"]["approval_id"]
    status, question = admin.ask(f"GET /approvals/{approval}")
    assert (status, question["approval"]["kind"]) == (200, "input"), question
    assert admin.ask(f"POST /approvals/{approval}/approve", {"answer": "tabs"})[0] == 200
    poll = f"GET /api/v1/messages/pending?agent_instance_id={instance}&last_read_message_id={asked['message_id']}"
    heard = until(lambda: agent.ask(poll)[1]["messages"], bool)
    assert [message["content"] for message in heard] == ["tabs"]


def test_a_caller_hears_of_its_own_jobs_alone_signed_with_its_own_secret(running: Stack, told: Subscriber) -> None:
    ann, bob, root = (Person(running, role, "public", name) for role, name in (("user", "ann"), ("user", "bob"), ("admin", "root")))
    wish = {"url": told.url("/ann"), "events": ["job.completed", "job.failed"], "secret": "your-webhook-secret"}
    status, made = ann.ask(f"POST {OWN}", wish)
    assert (status, made["secret"]) == (201, "your-webhook-secret"), made
    until(lambda: ann.ask(f"GET {OWN}/{made['id']}")[1], lambda hook: hook["status"] == "active")
    root.made(told.url("/all"), "job.*")
    jobs = [one.ask("POST /api/pr-agent/execute", {"repo": "acme/shop", "task": "go on"})[1]["jobId"] for one in (bob, ann)]
    assert {came.event["data"]["job_id"] for came in told.await_told("/all", 2)} == set(jobs)
    (came,) = told.await_told("/ann")
    assert (came.event["type"], came.event["data"]["job_id"]) == ("job.completed", jobs[1])
    assert came.signed_with("your-webhook-secret") and not came.signed_with("your-webhook-secreT")
    link = urlsplit(came.event["data"]["links"]["job"]).path
    assert ann.ask(f"GET {link}")[1]["status"] == "success"
    assert looked_after(ann, made["id"], jobs[1]) == came.id
    again = told.await_told("/ann", 2)[-1]
    assert (again.id, again.signed_with("your-webhook-secret"), again.signed_with("another secret, long enough")) == (came.id, True, True)
    missing = bob.ask(f"GET {OWN}/wh_{'0' * 32}/deliveries")
    assert bob.ask(f"GET {OWN}/{made['id']}/deliveries") == missing and missing[0] == 404
    assert ann.ask(f"DELETE {OWN}/{made['id']}")[1] == {"id": made["id"], "deleted": True}


def looked_after(owner: Person, hook: str, job: str) -> str:
    """The one delivery to it, sent again under another secret."""
    status, rotated = owner.ask(f"POST {OWN}/{hook}/rotate", {"secret": "another secret, long enough"})
    assert (status, rotated["secret"], rotated["signsWithBothUntil"] is not None) == (200, "another secret, long enough", True)
    (sent,) = until(lambda: owner.ask(f"GET {OWN}/{hook}/deliveries?status=delivered")[1]["deliveries"], lambda found: bool(found))
    assert (sent["jobId"], sent["event"], sent["lastAnswer"], sent["tries"]) == (job, "job.completed", "200", 1)
    status, again = owner.ask(f"POST {OWN}/{hook}/deliveries/{sent['id']}/redeliver")
    assert (status, again["status"], again["redelivered"]) == (202, "pending", 1)
    return str(sent["id"])


def test_what_was_told_is_listed_and_told_again_under_the_same_id(admin: Person, told: Subscriber) -> None:
    told.status = 500
    hook = admin.made(told.url(), "task.completed")["webhook_id"]
    task = admin.completed()
    (first,) = told.await_told("/hook")[:1]
    path = f"/webhooks/{hook}/deliveries"
    (listed,) = until(lambda: admin.ask(f"GET {path}")[1]["deliveries"], lambda found: bool(found and found[0]["tries"]))
    assert (listed["delivery_id"], listed["task_id"], listed["status"], listed["last_answer"]) == (first.id, task, "retrying", "500")
    assert (listed["request"]["body"].encode(), listed["answer"]["status"], len(listed["attempts"])) == (first.body, 500, 1)
    told.status = 202
    assert admin.ask(f"POST {path}/{first.id}/redeliver")[0] == 202
    again = told.await_told("/hook", 2)[-1]
    assert (again.id, again.body) == (first.id, first.body)
    done = until(lambda: admin.ask(f"GET {path}/{first.id}")[1]["delivery"], lambda one: one["status"] == "delivered")
    assert done["last_answer"] == "202"
    assert admin.ask(f"GET {path}?status=delivered")[1]["count"] == 1
    many = admin.ask(f"POST /webhooks/{hook}/redeliver", {"status": "delivered"})
    assert (many[0], many[1]["count"]) == (202, 1)
    assert told.await_told("/hook", 3)[-1].id == first.id


def test_while_a_secret_is_rotated_both_sign(admin: Person, told: Subscriber) -> None:
    made = admin.made(told.url(), "task.completed")
    old, key = made["secret"], uuid4().hex
    answers = [admin.ask(f"POST /webhooks/{made['webhook_id']}/rotate", {}, Idempotency_Key=key) for _ in range(2)]
    new = answers[0][1]["secret"]
    assert [status for status, _ in answers] == [200, 200] and new == answers[1][1]["secret"] != old
    admin.completed()
    (came,) = told.await_told("/hook")
    assert len(came.marks) == 2 and came.signed_with(old) and came.signed_with(new)


def test_a_repeat_by_its_key_makes_one_webhook_and_no_answer_but_that_shows_the_secret(admin: Person, told: Subscriber) -> None:
    wish, key = {"url": told.url(), "events": ["*"]}, uuid4().hex
    first, again = (admin.ask("POST /webhooks", wish, Idempotency_Key=key) for _ in range(2))
    assert first[0] == again[0] == 201 and first[1]["secret"] == again[1]["secret"]
    status, listed = admin.ask("GET /webhooks")
    assert (status, listed["total"]) == (200, 1) and first[1]["secret"] not in json.dumps(listed)
    assert first[1]["secret"] not in admin.running.log()


def test_without_the_handshake_nothing_is_told_and_it_can_be_asked_for_again(admin: Person, told: Subscriber) -> None:
    told.sullen = True
    hook = admin.ask("POST /webhooks", {"url": told.url(), "events": ["task.completed"]})[1]["webhook_id"]
    until(lambda: admin.ask(f"GET /webhooks/{hook}")[1]["webhook"], lambda view: bool(view["problem"]))
    admin.completed()
    told.sullen = False
    assert admin.ask(f"POST /webhooks/{hook}/verify")[0] == 202
    admin.await_status(hook, "active")
    second = admin.completed()
    assert [came.event["data"]["task_id"] for came in told.await_told("/hook")] == [second]


def test_whoever_says_that_it_is_gone_is_told_nothing_more(admin: Person, told: Subscriber) -> None:
    told.status = 410
    hook = admin.made(told.url(), "task.completed")["webhook_id"]
    admin.completed()
    view = admin.await_status(hook, "disabled")
    assert view["disabled_by"] == "gone"
    assert admin.ask(f"POST /webhooks/{hook}/redeliver")[0] == 409
    told.status = 200
    assert admin.ask(f"PATCH /webhooks/{hook}", {"enabled": True})[0] == 200
    admin.await_status(hook, "active")
    assert admin.ask(f"DELETE /webhooks/{hook}")[0] == 200
    before = len(told.at("/hook"))
    witness = admin.made(told.url("/witness"), "task.completed")
    admin.completed()
    assert told.await_told("/witness")[0].signed_with(witness["secret"])
    assert len(told.at("/hook")) == before


@contextmanager
def serving(words: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(words, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait(WITHIN)


@pytest.mark.parametrize(("language", "file", "program"), [("python", "receiver.py", sys.executable), ("js", "receiver.mjs", "node")])
def test_the_receivers_of_the_guide_receive(admin: Person, tmp_path: Path, language: str, file: str, program: str) -> None:
    found = shutil.which(program)
    assert found, f"{program} is not here"
    (code,) = re.findall(rf"^```{language}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (tmp_path / file).write_text(code)
    secret, port = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", free_port()
    with serving([found, str(tmp_path / file)], {"WEBHOOK_SECRET": f"{secret} another-secret-of-mine", "PORT": str(port)}) as receiver:
        url = f"http://127.0.0.1:{port}/"
        until(lambda: _answers(url), bool)
        assert requests.post(url, data=b"{}", headers={"webhook-id": "x", "webhook-signature": "v1,eA=="}, timeout=10).status_code == 400
        admin.made(url, "job.completed", secret=secret)
        task = admin.completed()
        assert receiver.stdout
        assert receiver.stdout.readline().split() == ["job.completed", task]


def _answers(url: str) -> bool:
    try:
        return requests.post(url, data=b"{}", timeout=5).status_code == 400
    except requests.ConnectionError:
        return False


def test_the_command_line_does_it_all(
    admin: Person, told: Subscriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRUNKLINE_TOKEN", admin.token())
    monkeypatch.setenv("TRUNKLINE_URL", admin.running.url)

    def trunkline(*words: str) -> list[str]:
        assert main(["webhooks", *words, "--data-dir", str(tmp_path)]) == 0
        return capsys.readouterr().out.splitlines()

    hook, secret = trunkline("add", told.url(), "--events", "task.completed")
    admin.await_status(hook, "active")
    task = admin.completed()
    assert told.await_told("/hook")[0].signed_with(secret)
    assert [line.split("\t")[:2] for line in trunkline()] == [[hook, "active"]]
    (sent,) = until(lambda: trunkline("deliveries", hook, "--status", "delivered"), bool)
    assert sent.split("\t")[2] == "task.completed" and task in sent.split("\t")
    trunkline("redeliver", hook, sent.split("\t")[0])
    assert len(told.await_told("/hook", 2)) == 2
    assert trunkline("rotate", hook)[1] != secret
    trunkline("remove", hook)
    assert trunkline() == []
