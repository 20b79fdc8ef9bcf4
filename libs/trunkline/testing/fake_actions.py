"""GitHub's workflow runs for tests: dispatches make runs, which advance, are listed, cancelled and told of; programs are their agents."""

from __future__ import annotations

import asyncio
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

import aiohttp
from aiohttp import web

from trunkline.testing.forge_faults import refusal

ROUTES: Final = (
    ("POST", re.compile(r"/repos/([^/]+)/([^/]+)/dispatches"), "dispatch"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)/actions/runs"), "runs"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)/actions/runs/(\d+)"), "run"),
    ("POST", re.compile(r"/repos/([^/]+)/([^/]+)/actions/runs/(\d+)/cancel"), "cancel-run"),
)
RIGHTS: Final = {"runs": "actions", "run": "actions", "cancel-run": "actions", "dispatch": "contents"}
CHANGES: Final = ("dispatch", "cancel-run")
MOST_KEYS: Final = 10
MOST_ON_A_PAGE: Final = 100
MOST_LISTED: Final = 1_000
"""Of runs that are asked for by event or time, on all pages together."""
MOST_PAYLOAD: Final = 65_535
_ACTIONS: Final = {"queued": "requested", "in_progress": "in_progress", "completed": "completed"}
Run = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Dispatched:
    """One dispatch as it was accepted. A program is started with it."""

    repo: str
    event_type: str
    payload: Mapping[str, Any] = field(repr=False)
    run_id: int


Program = Callable[[Dispatched], Awaitable[str]]
"""What a workflow does: returns how its run is concluded; cancelled with its run."""


def by_instance(sent: Dispatched) -> str:
    """The title of a run by the `run-name` of our own workflow."""
    return f"omnara {sent.payload.get('agent_instance_id', '')}"


def by_event(sent: Dispatched) -> str:
    """The title of a run without a `run-name`, as GitHub makes it."""
    return sent.event_type


class Actions:
    """The workflow runs of every repository. `now` in epoch seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.url = ""
        self.sent: list[Dispatched] = []
        self.runs: dict[str, list[Run]] = {}
        self.run_name: Callable[[Dispatched], str] = by_instance
        self.delay_s = 0.0
        """Between a dispatch and its run."""
        self.silent = False
        """No workflow waits for any event: a dispatch is accepted, and no run comes of it."""
        self.stubborn = False
        """Runs that are to be cancelled go on."""
        self.programs: Program | None = None
        self.told: list[tuple[str, int]] = []
        """Actions of webhooks, and what was answered."""
        self._hooks: list[tuple[str, bytes]] = []
        self._now = now
        self._next = 9_000_000_001
        self._busy: dict[int, asyncio.Task[None]] = {}

    def tell(self, url: str, secret: bytes) -> None:
        """From now on each news of a run is told there, signed."""
        self._hooks.append((url, secret))

    def find(self, run_id: int) -> Run:
        return next(run for runs in self.runs.values() for run in runs if run["id"] == run_id)

    def newest(self, repo: str) -> Run:
        return self.runs[repo][-1]

    def add(self, repo: str, title: str, *, event: str = "repository_dispatch", status: str = "queued") -> Run:
        """A run that nobody of ours asked for."""
        number, self._next = self._next, self._next + 1
        return self._add(number, repo, title, event, status)

    async def advance(self, run: Run | int, status: str, conclusion: str | None = None) -> Run:
        """It stands so from now on, and whoever wants to be told is told."""
        found = self.find(run) if isinstance(run, int) else run
        found |= {"status": status, "conclusion": conclusion, "updated_at": _moment(self._now())}
        for url, secret in self._hooks:
            await self._deliver(url, secret, found)
        return found

    async def close(self) -> None:
        for task in self._busy.values():
            task.cancel()
        for task in list(self._busy.values()):
            with suppress(asyncio.CancelledError):
                await task

    def answer(self, step: str, repo: str, request: web.Request, body: Any) -> web.Response:
        """One call, whose rights were looked at."""
        if step == "dispatch":
            return self._dispatched(repo, body or {})
        if step == "runs":
            return web.json_response(self._listed(repo, request.query))
        number = int(request.path.removesuffix("/cancel").rpartition("/")[2])
        run = next((run for run in self.runs.get(repo, []) if run["id"] == number), None)
        if run is None:
            return refusal(404, "Not Found")
        return web.json_response(run) if step == "run" else self._cancelled(run)

    def _dispatched(self, repo: str, body: dict[str, Any]) -> web.Response:
        event, payload = body.get("event_type"), body.get("client_payload", {})
        if not isinstance(event, str) or not event:
            return refusal(422, 'Invalid request.\n\n"event_type" wasn\'t supplied.')
        if len(event) > 100:
            return refusal(422, "Invalid request.\n\nevent_type is too long (maximum is 100 characters).")
        if len(payload) > MOST_KEYS:
            return refusal(422, f"No more than {MOST_KEYS} properties are allowed; {len(payload)} were supplied.")
        if len(json.dumps(payload, ensure_ascii=False).encode()) > MOST_PAYLOAD:
            return refusal(422, "client_payload is too large.")
        number, self._next = self._next, self._next + 1
        sent = Dispatched(repo, event, payload, number)
        self.sent.append(sent)
        if not self.silent:
            self._begin(number, self._worked(sent))
        return web.Response(status=204)

    async def _worked(self, sent: Dispatched) -> None:
        await asyncio.sleep(self.delay_s)
        run = self._add(sent.run_id, sent.repo, self.run_name(sent), "repository_dispatch", "queued")
        await self.advance(run, "queued")
        if self.programs is None:
            return
        try:
            await self.advance(run, "in_progress")
            conclusion = await self.programs(sent)
        except asyncio.CancelledError:
            await self.advance(run, "completed", "cancelled")
            raise
        except Exception:  # a workflow that breaks has failed, and its log is the test's own
            conclusion = "failure"
        await self.advance(run, "completed", conclusion)

    def _cancelled(self, run: Run) -> web.Response:
        if run["status"] == "completed":
            return refusal(409, "Cannot cancel a workflow run that is completed.")
        busy = self._busy.get(run["id"])
        if not self.stubborn and busy is not None and not busy.done():
            busy.cancel()
        elif not self.stubborn:
            self._begin(run["id"], self._conclude(run))
        return web.json_response({}, status=202)

    async def _conclude(self, run: Run) -> None:
        await self.advance(run, "completed", "cancelled")

    def _begin(self, number: int, work: Any) -> None:
        self._busy[number] = asyncio.create_task(work)

    def _listed(self, repo: str, query: Mapping[str, str]) -> dict[str, Any]:
        since, event = query.get("created", "").removeprefix(">="), query.get("event", "")
        begin = datetime.fromisoformat(since).timestamp() if since else 0.0
        fit = [
            run
            for run in reversed(self.runs.get(repo, []))
            if event in ("", run["event"]) and datetime.fromisoformat(run["created_at"]).timestamp() >= int(begin)
        ]
        size = min(int(query.get("per_page", "30")), MOST_ON_A_PAGE)
        first = (int(query.get("page", "1")) - 1) * size
        return {"total_count": len(fit), "workflow_runs": fit[:MOST_LISTED][first : first + size]}

    def _add(self, number: int, repo: str, title: str, event: str, status: str) -> Run:
        at = _moment(self._now())
        run = {
            "id": number,
            "name": "Omnara",
            "display_title": title,
            "event": event,
            "status": status,
            "conclusion": None,
            "run_number": number - 9_000_000_000,
            "run_attempt": 1,
            "html_url": f"{self.url}/{repo}/actions/runs/{number}",
            "head_branch": "main",
            "created_at": at,
            "updated_at": at,
            "repository": {"full_name": repo},
        }
        self.runs.setdefault(repo, []).append(run)
        return run

    async def _deliver(self, url: str, secret: bytes, run: Run) -> None:
        """As GitHub does it: told once, and what is not taken is not told again."""
        action = _ACTIONS.get(run["status"], "requested")
        who = {"login": "github-actions[bot]", "type": "Bot"}
        body = json.dumps({"action": action, "workflow_run": run, "repository": run["repository"], "sender": who}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "workflow_run",
            "X-GitHub-Delivery": secrets.token_hex(16),
            "X-Hub-Signature-256": f"sha256={hmac.new(secret, body, sha256).hexdigest()}",
        }
        status = 0
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
                session.post(url, data=body, headers=headers) as said,
            ):
                status = said.status
        self.told.append((action, status))


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
