"""GitHub's workflows, on the account of an App or of a token: events are sent once, and every failure says whether anything came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import aiohttp
from pydantic import BaseModel, ConfigDict, JsonValue

from trunkline.contracts.dispatch import Outcome, WorkflowRun
from trunkline.contracts.errors import Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Overdue, Unauthenticated
from trunkline.github.accounts import Given, app_of
from trunkline.github.api import Account, Credential, Done
from trunkline.github.app import AppCredential, AppTokens, Rights
from trunkline.github.calls import NOT_SENT, SILENT, Calls, Wish, connections
from trunkline.github.pacing import Pace
from trunkline.github.text import Place, api_of, place, web_of
from trunkline_relay.model.run_matching import Listed
from trunkline_relay.ports import Start

ACCEPT: Final = "application/vnd.github.v3+json"
"""As the guide has it that workflows were set up by."""
EVENT: Final = "repository_dispatch"
PAGE: Final = 100
"""Runs on a page, as many as GitHub shows at once."""
MOST_PAGES: Final = 10
"""It lists a thousand at most where it is asked for an event or a time."""
RIGHTS: Final = Rights(("contents", "actions"))
_LIMITED: Final = (None, 403, 429)
"""Not even asked, or told of a limit: nothing was done."""
_REFUSALS: Final = (Denied, NotFound, Conflict, Invalid, Unauthenticated)


@dataclass(frozen=True, slots=True)
class Options:
    """Where GitHub is, and on whose account it is spoken to; an App is preferred to a token. Times in seconds."""

    api_url: str
    token: str = field(default="", repr=False)
    app_id: str = ""
    app_key_file: Path | None = None
    gap_s: float = 1.0
    """Between two changes of one account, as GitHub wants it."""
    doubt_s: float = 1.0
    """Before a refusal of a question is believed, it is heard again after that."""
    call_s: float = 30.0
    send_s: float = 50.0
    """For sending one event, with all that has to be asked before."""


class _Run(BaseModel):
    """A run in GitHub's words; what of it we understand."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: int
    run_attempt: int = 1
    html_url: str = ""
    status: str | None = None
    conclusion: str | None = None
    display_title: str | None = None
    created_at: datetime | None = None
    event: str = ""

    def read(self) -> WorkflowRun:
        return WorkflowRun(
            run_id=self.id,
            run_attempt=max(self.run_attempt, 1),
            url=self.html_url[:1000],
            status=(self.status or "queued")[:64],
            conclusion=(self.conclusion or "")[:64],
            title=(self.display_title or "")[:1000],
            created_at=self.created_at,
        )


class _Runs(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    total_count: int | None = None
    workflow_runs: tuple[_Run, ...] = ()


class GitHubWorkflows:
    """ports.Workflows."""

    def __init__(self, options: Options, session: aiohttp.ClientSession, now: Callable[[], float] = time.time) -> None:
        """`now` in epoch seconds. Raises Invalid when the settings cannot be used."""
        api = api_of(options.api_url)
        self._options = options
        self._web = web_of(api)
        self._calls = Calls(session, api, Pace(options.gap_s), now)
        app = app_of(options.app_id, options.app_key_file, RIGHTS, now())
        self._tokens = AppTokens(self._calls, app, options.doubt_s, now) if app else None

    async def start(self, wish: Start) -> None:
        with _telling(_unsent):
            spot = place(wish.repo, self._web)
        body: dict[str, JsonValue] = {"event_type": wish.event_type, "client_payload": dict(wish.payload)}
        event = Wish("POST", f"/repos/{spot.path}/dispatches", "start the workflow", body=body, accept=ACCEPT)
        async with _in_time(self._options.send_s):
            account = await self._ready(spot, wish.installation_id)
            with _telling(_sent):
                await account.send(event, Done)

    async def run(self, repo: str, run_id: int, installation_id: int | None) -> WorkflowRun:
        spot = place(repo, self._web)
        account = await self._ready(spot, installation_id)
        run = await account.get(f"/repos/{spot.path}/actions/runs/{run_id}", "show the workflow run", _Run)
        if run.id != run_id or run.event != EVENT:
            raise NotFound(f"that run was started by {run.event or 'nobody knows what'}, and not by {EVENT}", code="RUN_NOT_OURS")
        return run.read()

    async def runs(self, repo: str, since: datetime, installation_id: int | None) -> Listed:
        spot = place(repo, self._web)
        begin = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = {"event": EVENT, "created": f">={begin}", "per_page": str(PAGE)}
        account = await self._ready(spot, installation_id)
        found: dict[int, _Run] = {}  # a run that begins between two pages pushes others onto the next one, where they come again
        for page in range(1, MOST_PAGES + 1):
            asked = {**query, "page": str(page)}
            listed = await account.get(f"/repos/{spot.path}/actions/runs", "list the workflow runs", _Runs, asked)
            found |= {run.id: run for run in listed.workflow_runs}
            whole = listed.total_count is not None and len(found) >= listed.total_count
            if whole or not listed.workflow_runs:
                break
        return Listed([run.read() for run in found.values() if run.event in ("", EVENT)], whole)

    async def cancel(self, repo: str, run_id: int, installation_id: int | None) -> None:
        with _telling(_unsent):
            spot = place(repo, self._web)
        wish = Wish("POST", f"/repos/{spot.path}/actions/runs/{run_id}/cancel", "cancel the workflow run")
        async with _in_time(self._options.send_s):
            account = await self._ready(spot, installation_id)
            with suppress(Conflict), _telling(_sent):  # it is over already
                await account.send(wish, Done)

    async def _ready(self, spot: Place, installation: int | None) -> Account:
        """With a token at hand: what fails before that, fails before anything was sent."""
        with _telling(_unsent):
            credential: Credential = AppCredential(self._tokens, spot, installation) if self._tokens else Given(self._options.token)
            await credential.caller()
        return Account(self._calls, credential, self._options.doubt_s)


@asynccontextmanager
async def github_workflows(options: Options) -> AsyncIterator[GitHubWorkflows]:
    """With connections of its own, which are closed after the block."""
    async with connections(options.call_s) as session:
        yield GitHubWorkflows(options, session)


@asynccontextmanager
async def _in_time(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise Overdue("GitHub did not answer in time", code="FORGE_UNAVAILABLE", outcome=Outcome.TIMEOUT.value) from None


@contextmanager
def _telling(of: Callable[[DomainError], Outcome]) -> Iterator[None]:
    """Whatever fails inside says what came of it."""
    try:
        yield
    except DomainError as error:
        error.details["outcome"] = of(error).value
        raise


def _unsent(error: DomainError) -> Outcome:
    return Outcome.REQUEST_FAILED if isinstance(error, _REFUSALS) else Outcome.CONNECTION_ERROR


def _sent(error: DomainError) -> Outcome:
    if isinstance(error, _REFUSALS):
        return Outcome.REQUEST_FAILED
    if isinstance(error, Exhausted):
        return Outcome.REQUEST_FAILED if error.details.get("status") in _LIMITED else Outcome.ERROR
    if error.code == "FORGE_BUSY" or error.details.get("how") == NOT_SENT:
        return Outcome.CONNECTION_ERROR
    return Outcome.TIMEOUT if error.details.get("how") == SILENT else Outcome.ERROR
