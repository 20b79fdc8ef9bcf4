"""Jobs as a user of the public API sees them, and what the log and the machine hold of them, for tests on a running stack."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import requests
from pydantic import SecretStr

from tests.flows.looking import look
from tests.flows.reader import LAST, Reader, Seen, history, order
from trunkline.bus.settings import BusSettings
from trunkline.contracts.message import Fact
from trunkline.contracts.record import Record
from trunkline.contracts.task import ENDS
from trunkline.testing.repositories import branches
from trunkline.testing.stack import Stack

ACTING = """python3 -c 'import os, sys; os.execv(sys.executable, [sys.executable, "-c", sys.stdin.read()])'"""
"""An agent that does what its task says in Python; the task's text stands in the command line of all that it starts by forking."""
WORK = "import time\nfor n in range(5): print('step', n, flush=True); time.sleep(0.05)\nopen('done.txt', 'w').write('done')\n"
"""A task that is done honestly within half a second."""


@dataclass
class Job:
    """One job and the reader that follows it from its beginning."""

    stack: Stack
    repo: str
    id: str
    began: float = field(default_factory=time.monotonic)
    bearer: str = ""
    """What its submitter shows; a private job is seen by nobody else."""

    def __post_init__(self) -> None:
        self.reader = Reader(self.stack.url, f"{self.path}/stream", bearer=self.bearer).start()

    @property
    def path(self) -> str:
        return f"/api/pr-agent/{self.id}"

    @property
    def bare(self) -> Path:
        return self.stack.forge / f"{self.repo}.git"

    @property
    def said(self) -> str:
        """All that was said so far, status messages and the agent's output."""
        return "\n".join(str(one.data.get("message") or one.data.get("output") or "") for one in self.reader.seen)

    def await_said(self, text: str, seconds: float = 20) -> None:
        until(lambda: text in self.said, seconds, f"{text!r} is not in {self.said[-2000:]!r}")

    def stands(self, word: str, seconds: float = 30) -> int:
        """How often it said a word, once it has not for a second: what it said before it stood still may be on its way for a while."""
        deadline, before = time.monotonic() + seconds, -1
        while (now := self.said.count(word)) != before:
            assert time.monotonic() < deadline, "it never stands still"
            before = now
            time.sleep(1.0)
        return before

    def cancel(self, reason: str = "") -> tuple[int, Any]:
        return self.stack.ask("POST", f"{self.path}/cancel", {"reason": reason}, self.bearer)

    def end(self) -> dict[str, Any]:
        """The one event that ends the job. Asserts what holds for every job, however it went."""
        seen = self.reader.join()
        ids = [order(one.id) for one in seen]
        assert ids == sorted(set(ids)), "ids do not increase"
        assert sum(one.data["type"] in LAST for one in seen) == 1
        assert history(self.stack.url, f"{self.path}/stream", self.bearer) == [(one.id, one.data) for one in seen]
        over = [fact for fact in facts(self.stack, self.id) if isinstance(fact, ENDS)]
        assert len(over) == 1, f"the log has {len(over)} ends: {over}"
        last = seen[-1].data
        if last["type"] == "error":
            assert (last["code"].isupper() and len(last["error"].split()) > 3) or last["code"] == "CANCELLED", last
        return last

    def failed(self, code: str, *words: str) -> dict[str, Any]:
        """The error that ended the job: its code, and what its sentence must say; it left neither branch nor pull request."""
        last = self.end()
        assert (last["type"], last.get("code")) == ("error", code), last
        assert all(word in last["error"] for word in words), last
        assert self.left() == ([], 0)
        return last

    def succeeded(self) -> dict[str, Any]:
        """The result; there is exactly one branch and one pull request of it."""
        last = self.end()
        assert last["type"] == "result", last
        made, pulls = self.left()
        assert (made, pulls) == ([last["result"]["fixBranch"]], 1)
        result: dict[str, Any] = last["result"]
        return result

    def left(self) -> tuple[list[str], int]:
        """Branches that the job made in its own repository, and pull requests."""
        made = [name for name in branches(self.bare) if name.startswith("trunkline/")]
        return made, len(list((self.bare / "trunkline" / "pulls").glob("[0-9]*.json")))


def submit(stack: Stack, repo: str, task: str, **fields: object) -> Job:
    """Submit a job that is taken."""
    answer = requests.post(f"{stack.url}/api/pr-agent/execute", json={"repo": repo, "task": task, **fields}, timeout=30)
    assert answer.status_code == 200, answer.text
    return Job(stack, repo, answer.json()["jobId"])


def until(found: Callable[[], object], seconds: float, what: object = "", fleeting: bool = False) -> float:
    """Wait until `found`; returns the seconds it took. A look that costs something is rarer: two cores are there for what is looked at.
    What is `fleeting` may be gone by then, so it is looked for without rest."""
    began = looked = time.monotonic()
    while not found():
        now = time.monotonic()
        assert now - began < seconds, f"not within {seconds} s: {what}"
        time.sleep(0.02 if fleeting else min(max(0.02, 5 * (now - looked)), 0.5))
        looked = time.monotonic()
    return time.monotonic() - began


def living(mark: str) -> list[psutil.Process]:
    """Processes of the whole machine with `mark` in their command line; the dead that nobody buried have none."""
    found = []
    for pid in (name for name in os.listdir("/proc") if name.isdecimal()):
        with suppress(OSError, psutil.NoSuchProcess):  # it has just ended
            if mark.encode() in Path("/proc", pid, "cmdline").read_bytes():
                found.append(psutil.Process(int(pid)))
    return found


def facts(stack: Stack, job: str) -> list[Fact]:
    """Every fact about a job, in the order of the log."""
    return [fact for record in records(stack, job) for fact in record.facts]


def records(stack: Stack, job: str) -> list[Record]:
    """The same, as they were decided."""
    loaded = look(bus_settings(stack), lambda bus: bus.log.load(f"evt.*.{UUID(job).hex}.>"))
    return [stored.record for stored in loaded.records]


def stored(stack: Stack) -> int:
    """How many messages the log holds."""
    return look(bus_settings(stack), lambda bus: bus.log.last_seq())


def bus_settings(stack: Stack) -> BusSettings:
    kept = json.loads((stack.folder / "data" / "nats" / "secrets.json").read_text())
    return BusSettings(nats_url=f"nats://127.0.0.1:{kept['clients']}", nats_user="control", nats_password=SecretStr(kept["control"]))


def outputs(seen: list[Seen]) -> list[str]:
    return [one.data["output"] for one in seen if one.data["type"] == "agent" and "output" in one.data]
