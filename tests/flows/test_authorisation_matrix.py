"""Every route that is served, as every role, on one's own things and on those of another tenant.

Guests are known where strangers may work, and nowhere else; they are of one tenant, so what is foreign to them is what others keep private.

The table is made of the served document: a new route is in it by itself, and one whose path names a thing that is not known here fails.
"""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
import requests

from tests.flows import home_callers
from tests.flows.hub import hub
from tests.flows.jobs import bus_settings
from trunkline.auth.policy import ALLOWED, Action
from trunkline.auth.principal import Role
from trunkline.bus import connect
from trunkline.contracts.message import Command
from trunkline.contracts.task import Assignment, SubmitTask, Visibility
from trunkline.contracts.webhook import ChangeWebhook
from trunkline.runtime.clock import now
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(300)]

SECRET = "a secret for this test, longer than 32 bytes"
HOME, AWAY = "home", "away"
ENVIRONMENT = {
    "ORCHESTRATOR_JWT_SECRET": SECRET,
    "TRUNKLINE_RATE_LIMITS": "off",
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": "sleep 300",
    "TRUNKLINE_WEBHOOK_NETWORKS_ALLOWED": "127.0.0.0/8",
    "TRUNKLINE_VAULT_KEY": home_callers.VAULT_KEY,
}
NOBODY_LISTENS = "http://127.0.0.1:9/hook"
TOLD = ["task.created"]
"""What a webhook of one's own asks for, by which it is known again."""
BODIES: Mapping[str, dict[str, Any]] = {
    "/tasks": {"type": "bugfix", "payload": {}},
    "/events/publish": {"event_type": "matrix.tried", "source_agent": "matrix"},
    "/tasks/{task_id}/continue": {"text": "go on"},
    "/tasks/{task_id}/fork": {"text": "go on"},
    "/tasks/{task_id}/messages": {"text": "hello"},
    "/tasks/{task_id}/messages/{message_id}": {"text": "hello"},
    "/tasks/{task_id}/messages/order": {"message_ids": []},
    "/api/pr-agent/execute": {"repo": "acme/none", "task": "nothing"},
    "/api/pr-agent/webhooks": {"url": NOBODY_LISTENS},
    "/schedules": {"every": 86400, "task": {"type": "bugfix", "payload": {}}},
    "/schedules/{schedule_id}": {"paused": True},
    "/dead-letters/{letter_id}/discard": {"reason": "of the matrix"},
    "/dead-letters/requeue": {"kind": "trigger"},
    "/webhooks": {"url": NOBODY_LISTENS, "events": ["job.failed"]},
    "/api/v1/agent-instances/{agent_instance_id}/status": {"status": "ACTIVE"},
    "/api/v1/agent-instances/{agent_instance_id}/run": {"run_id": 7, "repository": "acme/none"},
}
QUERIES: Mapping[str, dict[str, str]] = {
    "/tasks/{task_id}/status": {"status": "in_progress"},
    "/api/pr-agent/jobs": {"fingerprint": "of-the-matrix"},
}
NOBODYS = frozenset({"digest", "file", "owner", "name", "number", "tenant", "task", "key"})
"""Parts of paths that name no thing of a tenant: files of ours, pull requests of the local forge, which everybody may see, and what a
signed link names, which whoever holds it may."""
DESK = Action.MINT_TOKEN
"""Whether the proof is good enough the token desk decides, behind the rule."""
GUESTS = "/api/pr-agent"
"""Where GitHub is asked who somebody is."""
OF_ONESELF = (DESK, Action.REVOKE_TOKEN)
"""Everybody may for themselves, so that is what is tried."""
READING = ("get", "head")
SESSION = requests.Session()
"""Its connections are kept: thousands of requests need no new one each. It asks no environment, and nobody sets a cookie."""
SESSION.trust_env = False


@dataclass(frozen=True)
class Operation:
    """One route, as the document has it."""

    method: str
    path: str
    rule: Action
    roles: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def of(self, names: Mapping[str, str]) -> str:
        return self.path.format_map(names)

    def __str__(self) -> str:
        return f"{self.method.upper()} {self.path}"


@dataclass(frozen=True)
class Answer:
    status: int
    body: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Caller:
    """Somebody of a tenant, in a role; guests and instances show `token`."""

    url: str
    role: str
    tenant: str
    subject: str = "matrix"
    token: str = ""

    def ask(self, operation: Operation, names: Mapping[str, str]) -> Answer:
        """An answer without end is read as far as its headers."""
        body, subject = BODIES.get(operation.path, {}), self.subject
        if operation.rule in OF_ONESELF:
            subject = f"{self.subject}-{secrets.token_hex(4)}"  # of its own, for what is revoked is gone
            body = {"user_id": subject, "role": "user"}
        data = None if operation.method in READING else json.dumps(body)
        headers = {"Content-Type": "application/json", **replace(self, subject=subject).credential()}
        url, query = self.url + operation.of(names), QUERIES.get(operation.path)
        with SESSION.request(operation.method, url, params=query, headers=headers, data=data, timeout=20, stream=True) as said:
            endless = said.headers["Content-Type"].startswith("text/event-stream")
            return Answer(said.status_code, "" if endless else said.text, said.headers)

    def credential(self) -> dict[str, str]:
        if self.role == Role.ANONYMOUS:
            return {}
        if self.role in (Role.GUEST, Role.INSTANCE):
            return {"Authorization": f"Bearer {self.token}"}
        at = int(time.time())
        claims = {"sub": self.subject, "role": self.role, "tenant": self.tenant, "iat": at, "exp": at + 600, "jti": secrets.token_hex(8)}
        return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


@dataclass(frozen=True)
class Place:
    """A running stack, and the tokens of guests by whose they are."""

    stack: Stack
    tokens: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.stack.url

    def caller(self, role: str, tenant: str) -> Caller:
        token = home_callers.key(tenant, uuid4().hex) if role == Role.INSTANCE else self.tokens[tenant]
        return Caller(self.url, role, tenant, token=token)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with hub(tmp_path_factory.mktemp("hub")) as github:
        tokens = {tenant: github.user_token() for tenant in (HOME, AWAY)}
        told = {**ENVIRONMENT, "TRUNKLINE_GITHUB_GUESTS": "on", "GITHUB_API_URL": github.api_url}
        with stack(told, *ONE_PROCESS) as running:
            yield Place(running, tokens)


@pytest.fixture(scope="module")
def operations(running: Place) -> list[Operation]:
    _, document = running.stack.ask("GET", "/openapi.json")
    found = [
        Operation(method, path, Action(said["x-action"]), frozenset(said["x-required-roles"]))
        for path, methods in document["paths"].items()
        for method, said in methods.items()
    ]
    assert len(found) > 20, "the document does not hold every API"
    return found


def made(running: Place, names: Collection[str] = ()) -> dict[str, str]:
    """New things of the tenant `home`, by the names that paths give them: those that are named, or one of each."""
    maker = Caller(running.url, Role.AGENT, HOME, "maker")
    ways: tuple[tuple[set[str], Callable[[], dict[str, str]]], ...] = (
        ({"webhook_id", "delivery_id", "webhookId", "deliveryId"}, lambda: told(running)),
        ({"agent_instance_id", "agent_message_id"}, lambda: home_callers.called(running.url, maker.credential())),
        ({"task_id", "approval_id", "trace_id", "message_id", "jobId"}, lambda: held(running, maker)),
        ({"letter_id"}, lambda: {"letter_id": given_up(running, maker)}),
        ({"schedule_id"}, lambda: {"schedule_id": scheduled(running, maker)}),
    )
    return {name: thing for some, make in ways if not names or some & set(names) for name, thing in make().items()}


def held(running: Place, maker: Caller) -> dict[str, str]:
    """A task that waits for its approval, and what belongs to it."""
    trace = f"trace-{uuid4().hex}"
    asked = {"type": "deployment", "payload": {}, "priority": "P0", "metadata": {"trace_id": trace}}
    answer = SESSION.post(f"{running.url}/tasks", json=asked, headers=maker.credential(), timeout=20)
    assert answer.status_code == 200, answer.text
    task = answer.json()["task"]
    return {
        "task_id": task["task_id"],
        "approval_id": answer.json().get("approval_id") or task["approval_id"],
        "trace_id": trace,
        "message_id": uuid4().hex,
        "jobId": str(UUID(task["task_id"].removeprefix("task_"))),
    }


def scheduled(running: Place, agent: Caller) -> str:
    """That of before, while it is there: a tenant may have few."""
    if known := SESSION.get(f"{running.url}/schedules", headers=agent.credential(), timeout=20).json()["schedules"]:
        return str(known[0]["schedule_id"])
    answer = SESSION.post(f"{running.url}/schedules", json=BODIES["/schedules"], headers=agent.credential(), timeout=20)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["schedule_id"])


def given_up(running: Place, agent: Caller) -> str:
    """The letter of a task that its agent gave up."""
    who, asked = agent.credential(), {"type": "documentation", "payload": {}, "max_retries": 0}
    task = SESSION.post(f"{running.url}/tasks", json=asked, headers=who, timeout=20).json()["task"]["task_id"]
    answer = SESSION.patch(f"{running.url}/tasks/{task}/status", json={"status": "failed"}, headers=who, timeout=20)
    assert answer.status_code == 200, answer.text
    return f"task.{task.removeprefix('task_')}"


def told(running: Place) -> dict[str, str]:
    """A webhook of the tenant `home`, one of the caller's own, and one delivery to each: those of before, while they are there."""
    root = Caller(running.url, Role.ADMIN, HOME).credential()
    listed = SESSION.get(f"{running.url}/webhooks", headers=root, timeout=20).json()["webhooks"]
    hooks = [hook["webhook_id"] for hook in listed if not hook["own_only"] and hook["description"] == "matrix"]
    wish: dict[str, Any] = {"url": NOBODY_LISTENS, "events": ["task.*"], "description": "matrix", "verify": False}
    if not hooks:
        hooks = [SESSION.post(f"{running.url}/webhooks", json=wish, headers=root, timeout=20).json()["webhook_id"]]

    def tell() -> None:
        asked = {"type": "bugfix", "payload": {}}
        assert SESSION.post(f"{running.url}/tasks", json=asked, headers=root, timeout=20).status_code == 200

    own = own_told(running, Caller(running.url, Role.ADMIN, HOME), tell)
    sent = sent_to(f"{running.url}/webhooks/{hooks[0]}", root, tell)
    return {"webhook_id": hooks[0], "delivery_id": sent["delivery_id"], **own}


def own_told(running: Place, caller: Caller, tell: Callable[[], object]) -> dict[str, str]:
    """A webhook of the caller's own that was believed without a handshake, and one delivery to it, for which `tell` is called."""
    at, who = f"{running.url}{GUESTS}/webhooks", caller.credential()
    known = [hook["id"] for hook in SESSION.get(at, headers=who, timeout=20).json()["webhooks"] if hook["events"] == TOLD]
    if not known:
        answer = SESSION.post(at, json={"url": NOBODY_LISTENS, "events": TOLD}, headers=who, timeout=20)
        assert answer.ok, answer.text
        known = [str(answer.json()["id"])]
        tenant = "public" if caller.role == Role.GUEST else caller.tenant
        say(running, "relay", known[0], ChangeWebhook(tenant=tenant, at=now(), hook_id=known[0], verify=False))
    return {"webhookId": known[0], "deliveryId": sent_to(f"{at}/{known[0]}", who, tell)["id"]}


def sent_to(hook: str, who: Mapping[str, str], tell: Callable[[], object]) -> dict[str, Any]:
    """Something that was sent to it; where there is nothing, something happens of which it is told."""

    def sent() -> list[dict[str, Any]]:
        return list(SESSION.get(f"{hook}/deliveries?limit=1", headers=who, timeout=20).json()["deliveries"])

    if not (found := sent()):
        tell()
    deadline = time.monotonic() + 20
    while not (found := found or sent()):
        assert time.monotonic() < deadline, "nothing was sent to the webhook"
        time.sleep(0.02)
    return found[0]


def guests_own(running: Place, caller: Caller, names: Collection[str] = ("jobId", "webhookId")) -> dict[str, str]:
    """A new job of a guest's, and a webhook of its own with what was sent to it: those that are named."""

    def new() -> str:
        path = f"{GUESTS}/execute"
        answer = SESSION.post(f"{caller.url}{path}", json=BODIES[path], headers=caller.credential(), timeout=20)
        assert answer.ok, answer.text
        return str(answer.json()["jobId"])

    found = {"jobId": new()} if "jobId" in names else {}
    return found | (own_told(running, caller, new) if "webhookId" in names else {})


def say(running: Place, service: str, id: str, command: Command) -> None:
    """What nobody may say over HTTP."""

    async def send() -> None:
        async with connect(bus_settings(running.stack), "test") as bus:
            await bus.commands.send(service, id, command)

    asyncio.run(send())


def missing() -> dict[str, str]:
    """Names as ours look, of nothing that is there."""
    name = uuid4()
    return {
        "task_id": f"task_{name.hex}", "approval_id": f"approval_{name.hex}", "trace_id": f"trace-{name.hex}", "jobId": str(name),
        "message_id": name.hex, "agent_instance_id": str(name), "agent_message_id": str(name),
        "digest": "0" * 32, "file": "swagger-ui.css", "owner": "acme", "name": "none", "number": "1",
        "letter_id": f"task.{name.hex}", "schedule_id": f"sch_{name.hex}",
        "webhook_id": f"wh_{name.hex}", "webhookId": f"wh_{name.hex}", "delivery_id": f"dlv_{name.hex}{name.hex[:8]}",
        "deliveryId": f"dlv_{name.hex}{name.hex[:8]}",
        "tenant": AWAY, "task": name.hex, "key": "A" * 22,
    }  # fmt: skip


def plain(answer: Answer, names: Mapping[str, str]) -> tuple[int, str, frozenset[str]]:
    """What can be told of an answer, but for the request's id and for the name that was asked for."""
    text = answer.body.replace(answer.headers["X-Request-Id"], "<request>")
    for name in names.values():
        text = text.replace(name, "<name>") if len(name) > 8 else text
    return answer.status, text, frozenset(answer.headers)


def known(role: str, operation: Operation) -> bool:
    """Whether whoever answers there knows such a role at all."""
    places: dict[str, tuple[str, ...]] = {Role.GUEST: (GUESTS,), Role.INSTANCE: home_callers.PLACES}
    return role not in places or operation.path.startswith(places[role])


def test_the_document_says_of_every_route_what_the_policy_says(operations: list[Operation]) -> None:
    wrong = [op for op in operations if op.roles != {str(role) for role in Role if op.rule in ALLOWED[role] and known(role, op)}]
    assert wrong == []


def test_everything_that_a_path_names_is_known_here(operations: list[Operation]) -> None:
    known = NOBODYS | missing().keys()
    assert [str(op) for op in operations if not known >= set(op.names)] == [], "say in `made` and `missing` what it names"


@pytest.mark.parametrize("role", [str(role) for role in Role])
def test_a_role_gets_through_where_its_rule_lets_it_and_nowhere_else(running: Place, operations: list[Operation], role: str) -> None:
    caller, wrong = running.caller(role, HOME), []
    for operation in operations:
        refusal = 401 if role in (Role.ANONYMOUS, Role.GUEST) or not known(role, operation) else 403
        answer = caller.ask(operation, missing())
        through = answer.status not in (401, 403) or (operation.rule is DESK and role == Role.ANONYMOUS)
        if role in operation.roles and (not through or (answer.status >= 500 and operation.rule is not Action.REGISTER)):
            wrong.append(f"{operation}: {answer.status}, and the rule allows it: {answer.body[:200]}")
        as_stranger = not known(role, operation) and Role.ANONYMOUS in operation.roles
        if role not in operation.roles and answer.status != refusal and not as_stranger:
            wrong.append(f"{operation}: {answer.status} instead of {refusal}")
        if answer.status == 401 and "WWW-Authenticate" not in answer.headers:
            wrong.append(f"{operation}: 401 without WWW-Authenticate")
    assert wrong == []


@pytest.mark.parametrize("role", [str(role) for role in Role if role is not Role.ANONYMOUS])
def test_ones_own_things_are_found(running: Place, operations: list[Operation], role: str) -> None:
    caller, wrong = running.caller(role, HOME), []
    own = partial(guests_own, running, caller) if role == Role.GUEST else partial(made, running)
    theirs, mine = [op for op in operations if role in op.roles and op.names and not NOBODYS & set(op.names)], own()
    for operation in sorted(theirs, key=lambda op: op.method not in READING):  # what is only read is there for the next
        things = mine if operation.method in READING else own(names=operation.names)
        if role == Role.INSTANCE:
            caller = replace(caller, token=home_callers.key(HOME, UUID(things["agent_instance_id"]).hex))
        answer = caller.ask(operation, things)
        if answer.status == 404 or answer.status >= 500 or (operation.method == "get" and answer.status != 200):
            wrong.append(f"{operation}: {answer.status} {answer.body[:200]}")
    assert wrong == []


@pytest.mark.parametrize("role", [str(role) for role in Role])
def test_a_foreign_thing_is_answered_exactly_as_a_missing_one(running: Place, operations: list[Operation], role: str) -> None:
    caller, wrong = running.caller(role, AWAY), []
    own = made(running)
    if role == Role.GUEST:  # all guests live in one tenant
        own |= {key: name for key, name in guests_own(running, running.caller(role, HOME)).items() if key != "jobId"}
    for operation in [op for op in operations if op.names and not NOBODYS & set(op.names)]:
        none = missing()
        foreign, lost = plain(caller.ask(operation, own), own), plain(caller.ask(operation, none), none)
        if foreign != lost:
            wrong.append(f"{operation}: {foreign} is not {lost}")
        if role in operation.roles and foreign[0] != 404:
            wrong.append(f"{operation}: {foreign[0]} for what is not there")
    assert wrong == []


def guests_private(running: Place) -> dict[str, str]:
    """A task that only its owner may see, as one of a guest's on a private repository is."""
    name = uuid4()
    asked = Assignment(type="bugfix", visibility=Visibility.OWNER)
    wish = SubmitTask(tenant=HOME, at=now(), task_id=name.hex, assignment=asked, submitted_by="github:1", trace_id=f"trace-{name.hex}")
    say(running, "router", name.hex, wish)
    return {"task_id": f"task_{name.hex}", "jobId": str(name), "trace_id": f"trace-{name.hex}", "message_id": name.hex}


@pytest.mark.parametrize("role", ["user", "agent", "approver", "admin"])
def test_what_only_its_owner_may_see_is_missing_for_all_others_but_admins(running: Place, operations: list[Operation], role: str) -> None:
    own, caller, wrong = guests_private(running), running.caller(role, HOME), []
    for operation in [op for op in operations if op.names and set(op.names) <= own.keys() and role in op.roles]:
        none = missing()
        foreign, lost = plain(caller.ask(operation, own), own), plain(caller.ask(operation, none), none)
        if (foreign == lost) is (role == Role.ADMIN) and "message_id" not in operation.names:
            wrong.append(f"{operation}: {foreign} and {lost}")
    for operation in [op for op in operations if op.method == "get" and not op.names and role in op.roles]:
        if own["task_id"].removeprefix("task_") in caller.ask(operation, {}).body and role != Role.ADMIN:
            wrong.append(f"{operation} lists it")
    assert wrong == []


@pytest.mark.parametrize("role", [str(role) for role in Role])
def test_no_list_or_page_shows_anything_of_another_tenant(running: Place, operations: list[Operation], role: str) -> None:
    own, caller, wrong = made(running), running.caller(role, AWAY), []
    canaries = {own["task_id"].removeprefix("task_"), own["jobId"], own["trace_id"], "maker"}
    for operation in [op for op in operations if op.method == "get" and not op.names]:
        shown = caller.ask(operation, {}).body
        wrong += [f"{operation} shows {canary}" for canary in canaries if canary in shown]
    assert wrong == []


def test_nothing_changed_for_its_owner_whatever_strangers_tried(running: Place, operations: list[Operation]) -> None:
    own = made(running)
    owner = running.caller(Role.AGENT, HOME)
    reads = [op for op in operations if op.path in ("/tasks/{task_id}", "/approvals/{approval_id}")]
    before = [owner.ask(op, own).body for op in reads if op.method == "get"]
    for role in Role:
        for operation in [op for op in operations if op.names and op.method not in READING]:
            running.caller(role, AWAY).ask(operation, own)
    assert [owner.ask(op, own).body for op in reads if op.method == "get"] == before
