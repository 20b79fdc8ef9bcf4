"""One walk through every door by which a secret comes in: what is configured, asked, said, decided, printed, written and answered."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

import jwt
import requests
from aiohttp import web

from tests.conformance.github_place import keys
from tests.flows.canaries import Canary, canary, eventually, in_a_thread, known
from tests.flows.jobs import Job, bus_settings, submit
from tests.flows.plain_agent import held, plain_agent, text
from tests.flows.talkers import environment
from trunkline.testing.fake_github import App, FakeGitHub, Grant, fake_github
from trunkline.testing.forge_faults import Answer, refusal
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import Stack, stack

OPERATOR: Final = "operator.key"
VAULT: Final = "vault.key"
REPOS: Final = ("talks", "writes", "refused-by-git", "refused-by-github", "given", "hooked")
READS: Final = ("/", "/health", "/stats", "/tasks?limit=100", "/approvals/pending", "/approvals/history", "/usage", "/auth/me")
RIGHTS: Final = dict.fromkeys(("contents", "pull_requests", "issues", "statuses"), "write")
COMMITS: Final = 'open("done.txt", "w").write("done")\n'
KINDS: Final = {
    "model key by environment": "sk-ant-api03-",
    "model key by settings": "sk-proj-",
    "webhook secret": "whsec-",
    "webhook secret before it": "whsec-",
    "key of a caller by environment": "key-",
    "key of a caller by settings": "key-",
    "secret that signs tokens": "jwt-",
}
"""What is configured, and how each begins."""
PASTED: Final = (
    *("prompt", "message", "reason", "rewritten input", "output", "call", "file", "git", "github", "comment", "given token", "payload"),
    *("metadata", "label", "event", "bearer", "key", "signature", "query", "path", "body", "cookie", "idempotency key", "cancel"),
    *("said on nats", "progress on nats", "artifact on nats", "question on nats", "title on nats", "details on nats", "event on nats"),
    *("part on nats", "result on nats", "last word on nats", "error on nats", "name on nats"),
)
"""What people, agents and others say, each with the shape of a token."""


@dataclass
class Walk:
    """A running stack before a GitHub, its canaries by door, and all that it answered."""

    stack: Stack
    hub: FakeGitHub
    forge: Path
    canaries: dict[str, Canary]
    answers: list[tuple[str, bytes]] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    on_nats: str = ""
    """The task that an agent on NATS did."""

    def value(self, door: str) -> str:
        return self.canaries[door].value

    def ask(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> requests.Response:
        """As somebody with the key of a caller, unless `headers` say otherwise. The answer is kept."""
        shown = {"X-API-Key": self.value("key of a caller by environment")} if headers is None else dict(headers)
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        shown = {"Content-Type": "application/json", **shown}
        answer = requests.request(method, self.stack.url + path, data=data, headers=shown, timeout=20)
        told = "\n".join(f"{name}: {value}" for name, value in answer.headers.items()).encode()
        self.answers.append((f"{method} {path}", told + b"\n" + answer.content))
        return answer

    def done(self, method: str, path: str, body: object = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer.ok, answer.text
        return answer.json()

    def submit(self, name: str, code: str, **fields: object) -> Job:
        self.jobs[name] = submit(self.stack, f"acme/{name}", code, **fields)
        return self.jobs[name]

    def question(self, job: Job, number: int = 1) -> str:
        """The name of the question that the run asks, once somebody can decide it."""
        found: list[str] = []

        def asked() -> bool:
            events = self.ask("GET", f"/tasks/{UUID(job.id).hex}/events?limit=1000").json()["events"]
            found[:] = [one["payload"]["approval_id"] for one in events if one["event_type"] == "run.approval_wanted"]
            return len(found) >= number and self.ask("GET", f"/approvals/{found[number - 1]}").ok

        eventually(asked, f"nothing is asked: {job.said[-2000:]}")
        return found[number - 1]


@dataclass
class Blabs:
    """A fault of GitHub's whose message says too much."""

    step: str
    said: str
    times: int = 1
    repo: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def befall(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        return refusal(403, f"Resource not accessible with {self.said}")


@contextmanager
def walking(folder: Path) -> Iterator[Walk]:
    """Everything is up, and nobody has gone through a door but those who start it."""
    cages = {door: canary(door, before, "+/=") for door, before in KINDS.items()} | {door: canary(door) for door in PASTED}
    private, public = keys()
    (folder / "app.pem").write_bytes(private)
    lines = private.decode().splitlines()
    cages["private key of the App"] = known("private key of the App", lines[len(lines) // 2])
    for name in REPOS:
        make_bare(folder / "forge", f"acme/{name}", {"README.md": "sample\n"})
    with ExitStack() as opened:
        hub = opened.enter_context(in_a_thread(fake_github(folder / "forge", App("12345", public, {"acme": 100}))))
        hub.public = {f"acme/{name}" for name in REPOS}
        told = _settings(folder, hub, cages)
        running = opened.enter_context(stack(told, "--split", "--log-level", "debug", "--config", str(folder / "settings.toml"), cold=True))
        walk = Walk(running, hub, folder / "forge", cages)
        yield walk


def _settings(folder: Path, hub: FakeGitHub, cages: Mapping[str, Canary]) -> dict[str, str]:
    """Half by environment, half by a file."""
    lines = {
        "openai_api_key": cages["model key by settings"].value,
        "github_webhook_secret_previous": cages["webhook secret before it"].value,
    }
    table = f"[api_keys]\nfile = {json.dumps(cages['key of a caller by settings'].value + ':agent')}\n"
    (folder / "settings.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()) + table)
    (folder / "settings.toml").chmod(0o600)
    (folder / "tmp").mkdir(mode=0o755)
    return environment(
        TRUNKLINE_FORGE="github",
        GITHUB_API_URL=hub.api_url,
        TRUNKLINE_GITHUB_APP_ID="12345",
        TRUNKLINE_GITHUB_APP_KEY_FILE=str(folder / "app.pem"),
        ANTHROPIC_API_KEY=cages["model key by environment"].value,
        GITHUB_WEBHOOK_SECRET=cages["webhook secret"].value,
        ORCHESTRATOR_API_KEY_CI=cages["key of a caller by environment"].value + ":admin",
        ORCHESTRATOR_JWT_SECRET=cages["secret that signs tokens"].value,
        TMPDIR=str(folder / "tmp"),
    )


def walk_through(walk: Walk) -> None:
    """Through all of them, side by side where nothing waits for anything."""
    _misbehave(walk)
    writes = walk.submit("writes", _backwards(walk, "file") + 'open("settings.env", "w").write("TOKEN=" + file + "\\n")\n')
    by_git, by_github = _refused(walk)
    given = _given_token(walk)
    hooked = _comment(walk)
    _orchestrate(walk)
    asyncio.run(_work_on_nats(walk))
    talks = _talk(walk)
    walk.done("POST", f"/approvals/{walk.question(writes)}/reject", {"reason": "not this"})
    for job in (writes, by_git, by_github, given, talks):
        job.reader.join()
    eventually(lambda: '"status":"failed"' in walk.ask("GET", f"/tasks/{hooked}").text, "the task of the comment does not end")
    runs = walk.stack.folder / "data/sandbox/runs"
    eventually(lambda: not any(runs.iterdir()), "what the runs left is not put away")
    _read_everything(walk)


def _backwards(walk: Walk, *doors: str) -> str:
    """Code that makes the value itself: in the text of a task it would be struck before any agent sees it."""
    return "".join(f"{door.split()[0]} = {walk.value(door)[::-1]!r}[::-1]\n" for door in doors)


def _talk(walk: Walk) -> Job:
    """One agent that prints, asks, is answered and is spoken to."""
    key = walk.value("model key by environment").encode()
    printed = [
        *(quote(key.decode(), safe=""), key.hex(), key.hex().upper()),
        *(base64.b64encode(b"x" * before + key).decode() for before in range(3)),
    ]
    shown = [text[::-1] for text in (key.decode(), key.decode()[:-6] + "\n" + key.decode()[-6:], *printed)]
    code = (
        f"# {walk.value('prompt')}\n"
        + _backwards(walk, "output", "call")
        + f"for text in {shown!r}: say('printed: ' + text[::-1]); sys.stderr.write('noise: ' + text[::-1].replace('\\n', '') + '\\n')\n"
        + "sys.stderr.flush()\n"
        + "say('printed: ' + output)\n"
        + "out(type='tool_call', id='t', tool='Read', input={'path': output})\n"
        + "out(type='tool_result', id='t', output='found ' + output)\n"
        + "say(json.dumps(dict(os.environ)))\n"
        + "ask('c1', 'echo ' + call)\n"
        + "ask('c2', 'echo second')\n"
        + "while not waiting: waiting.append(hear())\n"
        + COMMITS
    )
    job = walk.submit("talks", code)
    walk.done("POST", f"/approvals/{walk.question(job)}/reject", {"reason": f"it holds {walk.value('reason')}"})
    rewritten = {"command": f"echo {walk.value('rewritten input')} > rewritten.txt"}
    walk.ask("POST", f"/approvals/{walk.question(job, 2)}/approve", {"input": rewritten})
    walk.ask("POST", f"/approvals/{walk.question(job, 2)}/approve", {"reason": "go"})
    walk.done("POST", f"/tasks/{UUID(job.id).hex}/messages", {"text": f"use {walk.value('message')}"})
    return job


def _refused(walk: Walk) -> tuple[Job, Job]:
    """Git and GitHub each say no, and quote something in it."""
    hook = walk.forge / "acme/refused-by-git.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\necho 'you pushed with {walk.value('git')}' >&2\nexit 1\n")
    hook.chmod(0o755)
    faults: list[Any] = walk.hub.faults
    faults.append(Blabs("create", walk.value("github"), times=1000, repo="acme/refused-by-github"))
    return walk.submit("refused-by-git", COMMITS), walk.submit("refused-by-github", COMMITS)


def _given_token(walk: Walk) -> Job:
    """The caller's own token for the repository, in the place that is meant for it."""
    walk.hub.grants[walk.value("given token")] = Grant(frozenset({"acme/given"}), RIGHTS)
    walk.hub.people[walk.value("given token")] = (583231, "ann")
    return walk.submit("given", COMMITS, githubToken=walk.value("given token"))


def _comment(walk: Walk) -> str:
    """A webhook, rightly signed, whose comment holds one; the task that it starts."""
    said = {"body": f"/trunkline mend it with {walk.value('comment')}", "author_association": "MEMBER", "user": _user()}
    issue = {"number": 7, "title": "Broken", "body": walk.value("comment"), "html_url": "https://github.example/acme/hooked/issues/7"}
    repository = {"full_name": "acme/hooked", "default_branch": "main"}
    payload = {"action": "created", "comment": said, "issue": issue, "repository": repository, "sender": _user()}
    answer = _deliver(walk, payload, walk.value("webhook secret"))
    assert answer.ok, answer.text
    return str(answer.json()["task_id"])


def _deliver(walk: Walk, payload: object, secret: str) -> requests.Response:
    body = json.dumps(payload).encode()
    mark = f"sha256={hmac.new(secret.encode(), body, sha256).hexdigest()}"
    headers = {"X-GitHub-Event": "issue_comment", "X-GitHub-Delivery": str(uuid.uuid4()), "X-Hub-Signature-256": mark}
    return walk.ask("POST", "/api/v1/github/webhooks", body, headers)


def _user() -> dict[str, str]:
    return {"login": "ann", "type": "User"}


def _orchestrate(walk: Walk) -> None:
    """What an orchestrator's client sends beside coding tasks."""
    body = {"type": "deployment", "payload": {"deep": [{"er": walk.value("payload")}]}, "metadata": {"note": walk.value("metadata")}}
    headers = {"X-API-Key": walk.value("key of a caller by environment"), "Idempotency-Key": walk.value("idempotency key")}
    task = walk.ask("POST", "/tasks", {**body, "source_agent": walk.value("label")}, headers).json()["task_id"]
    said = {"event_type": "seen", "source_agent": "ci", "task_id": task, "payload": {"x": walk.value("event")}}
    walk.done("POST", "/events/publish", said)
    walk.done("POST", f"/tasks/{task}/cancel", {"reason": walk.value("cancel")})


async def _work_on_nats(walk: Walk) -> None:
    """One agent that connects to NATS and tells all it knows by every verb whose words are stored, the password of the bus too."""
    walk.on_nats = walk.done("POST", "/tasks", {"type": "faq_update", "payload": {}})["task_id"]
    kept = json.loads((walk.stack.folder / "data/nats/secrets.json").read_text())
    key, bus = walk.value("key of a caller by environment"), bus_settings(walk.stack).nats_password.get_secret_value()
    async with plain_agent(f"nats://127.0.0.1:{kept['clients']}", "public", "ci", token=key) as agent:
        (task,) = await agent.claim("faq_agent", begin=True)
        artifact = {"kind": "artifact", "name": "a", "value": {walk.value("artifact on nats"): 1}}
        progress = {"kind": "progress", "fraction": 0.5, "text": walk.value("progress on nats")}
        await agent.say(task, walk.value("name on nats"), text(f"{walk.value('said on nats')} and {bus}"), artifact, progress)
        await agent.ask("ask", {**held(task), "id": "q", "question": walk.value("question on nats")})
        shown = {"title": walk.value("title on nats"), "about": {"x": walk.value("details on nats")}}
        await agent.ask("approve", {**held(task), "id": "a", **shown})
        await agent.ask("publish", {"event_id": "e", "event_type": "seen", "payload": {"x": walk.value("event on nats")}})
        part = {"type": "faq_update", "payload": {"x": walk.value("part on nats")}, "max_retries": 0}
        await agent.ask("submit", {**held(task), "id": "p", **part})
        last = {"result": {"x": walk.value("result on nats")}, "said": [text(walk.value("last word on nats"))]}
        await agent.report(task, "succeeded", **last)
        (task,) = await agent.claim("faq_agent", begin=True)
        await agent.report(task, "failed", error=f"it broke: {walk.value('error on nats')}")


def _misbehave(walk: Walk) -> None:
    """Requests that are refused, each with something in a place that an error might quote."""
    token = _token(walk)
    body = walk.value("body")
    walk.ask("GET", "/tasks", headers={"Authorization": f"Bearer {walk.value('bearer')}"})
    walk.ask("GET", "/tasks", headers={"Authorization": f"Bearer {token}"})
    walk.ask("GET", "/tasks", headers={"X-API-Key": walk.value("key")})
    walk.ask("GET", "/tasks", headers={"Cookie": f"session={walk.value('cookie')}", "Authorization": f"Basic {walk.value('bearer')}"})
    walk.ask("GET", f"/tasks?token={walk.value('query')}")
    walk.ask("GET", f"/tasks/{walk.value('path')}")
    walk.ask("POST", f"/{walk.value('path')}", {})
    walk.ask("POST", "/tasks", b'{"type": "' + body.encode() + b'", ')
    walk.ask("POST", "/tasks", {"type": "bugfix", "payload": body, "priority": body, body: body})
    walk.ask("POST", "/api/pr-agent/execute", {"repo": body, "task": "x", "githubToken": f"{body}\n"})
    walk.ask("POST", "/auth/token", {"user_id": "ann", "role": "agent", "secret": body}, {})
    walk.ask("POST", "/api/v1/github/webhooks", b"{}", {"X-Hub-Signature-256": walk.value("signature")})
    _deliver(walk, {"action": body}, walk.value("webhook secret before it"))
    walk.ask("GET", "/tasks", headers={"X-API-Key": walk.value("key of a caller by settings")})


def _token(walk: Walk) -> str:
    """A caller's, signed as it should be; its signature is the canary, for the rest of it is no secret."""
    now = int(time.time())
    claims = {"sub": "eve", "role": "agent", "iat": now, "exp": now + 600}
    token = jwt.encode(claims, walk.value("secret that signs tokens"), algorithm="HS256")
    walk.canaries["token of a caller"] = known("token of a caller", token.rpartition(".")[2])
    return token


def _read_everything(walk: Walk) -> None:
    """Every read that there is, of every task, and every stream once more from its beginning."""
    for path in READS:
        walk.ask("GET", path)
    for name, job in walk.jobs.items():
        task = UUID(job.id).hex
        for path in (f"/tasks/{task}", f"/tasks/{task}/events?limit=1000", f"/tasks/{task}/messages", f"/traces/{task}", job.path):
            walk.ask("GET", path)
        walk.answers.append((f"the stream of {name}", json.dumps([one.data for one in job.reader.seen], ensure_ascii=False).encode()))
    for task in walk.ask("GET", "/tasks?limit=100").json()["tasks"]:
        walk.ask("GET", f"/tasks/{task['task_id']}/events?limit=1000")


def by_others(walk: Walk) -> list[Canary]:
    """Secrets that nobody put in: those that Trunkline made for itself, and those that it got from GitHub and showed to it."""
    data = walk.stack.folder / "data"
    passwords = [value for value in json.loads((data / "nats/secrets.json").read_text()).values() if isinstance(value, str)]
    shown = {token for token in (*walk.hub.grants, *(seen.token for seen in walk.hub.seen)) if token}
    tokens = shown - {one.value for one in walk.canaries.values()}
    others = {
        "password of nats": passwords,
        "key of the operator": [(data / OPERATOR).read_text()],
        "key of the vault": [(data / VAULT).read_text()],
        "token of an installation or of the App": [token.rpartition(".")[2] for token in tokens],
    }
    return [known(door, value) for door, values in others.items() for value in values]
