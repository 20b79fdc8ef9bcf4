"""An agent that asks before it acts and can be spoken to, driven by the text of its task; and the people who answer it."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from uuid import UUID

import jwt
import requests

from tests.flows.jobs import Job, facts, submit, until
from trunkline.contracts.errors import DomainError
from trunkline.contracts.message import Fact
from trunkline.testing.repositories import git, make_bare
from trunkline.testing.stack import Stack

F = TypeVar("F", bound=Fact)
SECRET = "a secret of thirty-two bytes or more"
PROGRAM = """
import json, os, sys, time
KEPT = os.path.expanduser("~/.conversation/code")
class Interrupted(Exception): pass
waiting = []
def out(**said): print(json.dumps(said), flush=True)
def say(text): out(type="message", text=text)
def hear():
    line = sys.stdin.readline()
    if not line: sys.exit(0)
    return json.loads(line)
def await_word(id):
    while True:
        told = hear()
        if told["type"] == "permission" and told["id"] == id: return told
        if told["type"] == "interrupt":
            out(type="permission_dropped", id=id)
            raise Interrupted
        if told["type"] == "message": waiting.append(told)
def ask(id, command, tool="Shell"):
    out(type="permission_request", id=id, tool=tool, input={"command": command})
    told = await_word(id)
    if told["verdict"] == "allow":
        out(type="tool_call", tool=tool, input=told["input"], id=id)
        os.system(told["input"]["command"])
        out(type="tool_result", id=id, output="ran")
    else:
        out(type="tool_result", id=id, output="not run: " + told["reason"], is_error=True)
        say("refused: " + told["reason"])
    return told["verdict"]
def on_message(text): say("you said: " + text)
task = json.loads(sys.stdin.readline())
resumed = "resume" in task
if resumed: code = open(KEPT).read()
else:
    code = task["text"]
    os.makedirs(os.path.dirname(KEPT), exist_ok=True)
    open(KEPT, "w").write(code)
out(type="session", id="talk-1")
if resumed: say("resumed: " + task["text"])
try: exec(code)
except Interrupted: say("interrupted")
out(type="turn_over", summary="done")
while True:
    told = waiting.pop(0) if waiting else hear()
    if told["type"] == "message":
        out(type="heard", id=told["id"])
        try: on_message(told["text"])
        except Interrupted: say("interrupted")
        out(type="turn_over", summary="done")
"""
ASKS_ONCE = 'say("at work")\nask("c1", "echo once >> ran.txt")\nsay("went on")\nopen("done.txt", "w").write("done")\n'
"""One call that needs a yes, and something to commit whatever the answer is."""
RULES = [{"tool": "Shell", "then": "ask"}, {"tool": "Evil", "then": "deny", "reason": "never here"}]


def environment(**more: str) -> dict[str, str]:
    return {
        "TRUNKLINE_AGENT": "command",
        "TRUNKLINE_AGENT_COMMAND": f"python3 -c '{PROGRAM}'",
        "TRUNKLINE_AGENT_COMMAND_DUPLEX": "true",
        "TRUNKLINE_TOOL_RULES": json.dumps(RULES),
        "ORCHESTRATOR_JWT_SECRET": SECRET,
        "TRUNKLINE_RATE_LIMITS": "off",
        **more,
    }


def given(stack: Stack, code: str, **fields: object) -> Job:
    """A job in a repository of its own."""
    stack.await_ready()
    repo = f"acme/talk-{secrets.token_hex(6)}"
    make_bare(stack.forge, repo, {"README.md": "sample\n"})
    return submit(stack, repo, code, **fields)


def of(job: Job, kind: type[F]) -> list[F]:
    return [fact for fact in facts(job.stack, job.id) if isinstance(fact, kind)]


def awaited(job: Job, kind: type[F], seconds: float = 20, count: int = 1) -> F:
    """The `count`th fact of that kind, once it is there."""
    found: list[F] = []

    def there() -> bool:
        try:
            found[:] = of(job, kind)
        except (DomainError, OSError):  # the bus was killed, and comes again
            return False
        return len(found) >= count

    until(there, seconds, f"{kind.__name__} of {job.said[-2000:]}")
    return found[count - 1]


def committed(job: Job, path: str) -> str | None:
    """A file as the job left it at the forge; None when it has none."""
    [branch], _ = job.left()
    names = git(job.bare, "ls-tree", "--name-only", branch).split()
    return git(job.bare, "show", f"{branch}:{path}") if path in names else None


@dataclass(frozen=True)
class Person:
    """Somebody who decides and speaks by the public API."""

    stack: Stack
    headers: Mapping[str, str] = field(default_factory=dict)

    def approval(self, job: Job, name: str) -> str:
        return f"approval_{UUID(job.id).hex}_{name}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = requests.request(method, self.stack.url + path, json=body, headers=dict(self.headers), timeout=20)
        return answer.status_code, answer.json()

    def tell(self, job: Job, word: str, body: object = None) -> Any:
        """Something to the run itself: a message, `interrupt`, `pause`, `resume`."""
        status, said = self.ask("POST", f"/tasks/task_{UUID(job.id).hex}/{word}", body or {})
        assert status in (200, 202), said
        return said

    def say(self, job: Job, text: str) -> None:
        self.tell(job, "messages", {"text": text})

    def sees(self, job: Job, name: str, seconds: float = 20) -> dict[str, Any]:
        """The question as people see it, once it is asked."""
        seen: list[dict[str, Any]] = []

        def asked() -> bool:
            status, body = self.ask("GET", f"/approvals/{self.approval(job, name)}")
            seen[:] = [body.get("approval", body)] if status == 200 else []
            return bool(seen)

        until(asked, seconds, f"{name} is not asked")
        return seen[0]

    def approve(self, job: Job, name: str, **body: object) -> None:
        self._decide(job, name, "approve", body)

    def patiently_approve(self, job: Job, name: str, seconds: float = 40) -> None:
        """Again and again while something is away; that it is decided already is an answer too."""

        def decided() -> bool:
            try:
                self.sees(job, name)
                status, _ = self.ask("POST", f"/approvals/{self.approval(job, name)}/approve", {})
            except (requests.RequestException, AssertionError):
                return False
            return status in (200, 404, 409)

        until(decided, seconds, f"{name} cannot be decided")

    def reject(self, job: Job, name: str, **body: object) -> None:
        self._decide(job, name, "reject", body)

    def _decide(self, job: Job, name: str, word: str, body: Mapping[str, object]) -> None:
        self.sees(job, name)
        status, said = self.ask("POST", f"/approvals/{self.approval(job, name)}/{word}", dict(body))
        assert status == 200, said


def person(stack: Stack, subject: str = "eve", role: str = "approver") -> Person:
    now = int(time.time())
    token = jwt.encode({"sub": subject, "role": role, "iat": now, "exp": now + 3600}, SECRET, algorithm="HS256")
    return Person(stack, {"Authorization": f"Bearer {token}"})
