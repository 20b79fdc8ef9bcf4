"""The forge GitHub, and GitHub Enterprise: repositories over HTTPS, pull requests by its API, on the account of an App or of a token."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog

from trunkline.contracts.errors import Denied, DomainError, Unsupported
from trunkline.github.accounts import Given, app_of
from trunkline.github.api import Account, Credential, Repository
from trunkline.github.app import AppCredential, AppOptions, AppTokens, Rights
from trunkline.github.calls import Calls, connections
from trunkline.github.pacing import Pace
from trunkline.github.text import Place, api_of, clone_url, place, web_of
from trunkline_sandbox.adapters.forges.github.credentials import credentials, sweep
from trunkline_sandbox.adapters.forges.github.pull_requests import PullRequests
from trunkline_sandbox.adapters.forges.github.status import Ornaments
from trunkline_sandbox.ports import Access, PullRequest, PullRequestPage, PullRequestSpec, Remote

__all__ = ["GitHubForge", "GitHubOptions", "github_forge"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GitHubOptions:
    """Where GitHub is and on whose account it is spoken to. An App is preferred to a token where both are given; times in seconds."""

    folder: Path
    """Of sockets by which git gets its credential; each in a folder of its own."""
    api_url: str = "https://api.github.com"
    token: str = field(default="", repr=False)
    app_id: str = ""
    app_key_file: Path | None = None
    comment: bool = False
    status: bool = False
    gap_s: float = 1.0
    """Between two changes of one account, as GitHub wants it."""
    doubt_s: float = 1.0
    """Before a refusal is believed, it is heard again after that."""
    call_s: float = 30.0
    looks_s: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Before a pull request is looked for that GitHub says exists."""


class GitHubForge:
    """ports.Forge. Without an App and a token it serves those who bring a token of their own."""

    name = "github"

    def __init__(self, options: GitHubOptions, session: aiohttp.ClientSession, now: Callable[[], float] = time.time) -> None:
        """`now` in epoch seconds. Raises Invalid when the settings cannot be used."""
        api = api_of(options.api_url)
        self._options = options
        self._web = web_of(api)
        self._calls = Calls(session, api, Pace(options.gap_s), now)
        app = _app(options, now())
        self._tokens = AppTokens(self._calls, app, options.doubt_s, now) if app else None
        sweep(options.folder)

    @asynccontextmanager
    async def remote(self, access: Access) -> AsyncIterator[Remote]:
        """Raises Invalid, Denied, NotFound, Exhausted, Unavailable."""
        spot = place(access.repo, self._web)
        credential = self._credential(access, spot)
        repository = await self._repository(Account(self._calls, credential, self._options.doubt_s), spot)
        url = clone_url(repository.clone_url, spot, self._web)

        async def token() -> str:
            return (await credential.caller()).token

        async with credentials(self._options.folder, url, token) as socket:
            yield Remote(url, credentials=socket)

    async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
        """Raises Unavailable and Exhausted when it is to be tried again; Invalid, Denied, NotFound and Conflict when it is not."""
        account, repository = await self._at(access)
        opened = await PullRequests(account, repository, self._options.looks_s).open(spec)
        ornaments = Ornaments(account, repository)
        if self._options.comment:
            await ornaments.comment(opened.number, spec)
        if self._options.status:
            await ornaments.status(spec.commit, "success", f"An agent's work, in #{opened.number} {spec.url}")
        return opened

    async def branch_for(self, access: Access, number: int) -> str:
        """Raises NotFound, Denied FORK_PULL_REQUEST, Exhausted, Unavailable."""
        account, repository = await self._at(access)
        return await PullRequests(account, repository).branch(number)

    async def tell_status(self, access: Access, commit: str, state: str, told: str) -> None:
        """A link at the end of `told` becomes that of the status. What fails here is logged and does not matter."""
        if not self._options.status:
            return
        try:
            await Ornaments(*await self._at(access)).status(commit, state, told)
        except DomainError as error:
            log.warning("forge.ornament_failed", what="status", code=error.code, error=error.message)

    async def show_pull_request(self, repo: str, number: int) -> PullRequestPage:
        """Raises Unsupported."""
        raise Unsupported("GitHub shows its pull requests itself; follow the link of the pull request.", code="PULL_REQUEST_ELSEWHERE")

    async def _at(self, access: Access) -> tuple[Account, Repository]:
        spot = place(access.repo, self._web)
        account = Account(self._calls, self._credential(access, spot), self._options.doubt_s)
        return account, await self._repository(account, spot)

    async def _repository(self, account: Account, spot: Place) -> Repository:
        """By the name that it has now. Raises Denied for what cannot be pushed to, before anybody works for nothing."""
        found = await account.get(f"/repos/{spot.path}", "show the repository", Repository)
        if found.archived:
            raise Denied(f"{found.full_name} is archived, so nothing can be pushed to it.", code="REPO_ARCHIVED")
        rights = found.permissions
        if rights is not None and rights.pull and not rights.push:
            text = f"The credential may read {found.full_name} and not write to it; give one that may push, or allow the App to write."
            raise Denied(text, code="REPO_READ_ONLY")
        return found.model_copy(update={"full_name": place(found.full_name, self._web).path})

    def _credential(self, access: Access, spot: Place) -> Credential:
        if access.token:
            return Given(access.token)
        if self._tokens:
            return AppCredential(self._tokens, spot)
        return Given(self._options.token)


@asynccontextmanager
async def github_forge(options: GitHubOptions) -> AsyncIterator[GitHubForge]:
    """The forge with connections of its own, which are closed after the block."""
    async with connections(options.call_s) as session:
        yield GitHubForge(options, session)


def _app(options: GitHubOptions, now: float) -> AppOptions | None:
    """Raises Invalid when one half of it is missing, or when its key is none."""
    extra = tuple(right for right, wanted in (("issues", options.comment), ("statuses", options.status)) if wanted)
    # A change to a workflow that somebody approved cannot be pushed without the right to workflows.
    return app_of(options.app_id, options.app_key_file, Rights(("contents", "pull_requests"), extra, ("workflows",)), now)
