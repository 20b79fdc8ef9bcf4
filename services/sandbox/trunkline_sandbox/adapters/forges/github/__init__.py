"""The forge GitHub, and GitHub Enterprise: repositories over HTTPS, pull requests by its API, on the account of an App or of a token."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import aiohttp
import structlog

from trunkline.auth.tokens import app_assertion
from trunkline.contracts.errors import Denied, DomainError, Invalid, Unsupported
from trunkline_sandbox.adapters.forges.github.api import Account, Credential, Repository
from trunkline_sandbox.adapters.forges.github.app import AppCredential, AppOptions, AppTokens
from trunkline_sandbox.adapters.forges.github.calls import Caller, Calls
from trunkline_sandbox.adapters.forges.github.credentials import credentials, sweep
from trunkline_sandbox.adapters.forges.github.pacing import Pace
from trunkline_sandbox.adapters.forges.github.pull_requests import PullRequests
from trunkline_sandbox.adapters.forges.github.status import Ornaments
from trunkline_sandbox.adapters.forges.github.text import Place, api_of, clone_url, place, web_of
from trunkline_sandbox.ports import Access, PullRequest, PullRequestPage, PullRequestSpec, Remote

__all__ = ["GitHubForge", "GitHubOptions", "github_forge"]

log = structlog.get_logger(__name__)
_TOKEN = re.compile(r"\A[\x21-\x7e]{1,1000}\Z")


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
            return _Given(access.token)
        if self._tokens:
            return AppCredential(self._tokens, spot)
        return _Given(self._options.token)


@asynccontextmanager
async def github_forge(options: GitHubOptions) -> AsyncIterator[GitHubForge]:
    """The forge with connections of its own, which are closed after the block."""
    timeout = aiohttp.ClientTimeout(total=options.call_s, connect=min(10.0, options.call_s))
    connector = aiohttp.TCPConnector(limit=64, keepalive_timeout=20.0)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=jar, trust_env=False) as session:
        yield GitHubForge(options, session)


class _Given:
    """api.Credential by a token that somebody gave."""

    def __init__(self, token: str) -> None:
        """Raises Denied for none, Invalid for what cannot be one: it would end a header or a line."""
        if not token:
            text = "No credential for GitHub is there: set GITHUB_TOKEN, or an App's id and key file, or give a token with the task."
            raise Denied(text, code="FORGE_CREDENTIAL")
        if not _TOKEN.match(token):
            raise Invalid("The token for GitHub is none: a token is one word of plain characters.", code="FORGE_CREDENTIAL")
        self._caller = Caller(f"token/{sha256(token.encode()).hexdigest()[:16]}", token)

    async def caller(self) -> Caller:
        return self._caller

    def drop(self, caller: Caller) -> None:
        """There is no other one."""


def _app(options: GitHubOptions, now: float) -> AppOptions | None:
    """Raises Invalid when one half of it is missing, or when its key is none."""
    if not options.app_id and options.app_key_file is None:
        return None
    if not options.app_id or options.app_key_file is None:
        text = "A GitHub App needs both its id (github_app_id) and its key (github_app_key_file); set both, or neither."
        raise Invalid(text, code="FORGE_NOT_CONFIGURED")
    try:
        key = options.app_key_file.expanduser().read_text("ascii")
    except (OSError, ValueError) as error:
        text = (
            f"The GitHub App's key cannot be read from {options.app_key_file.name} ({type(error).__name__}); check the path and its rights."
        )
        raise Invalid(text, code="APP_KEY_UNREADABLE") from None
    app_assertion(options.app_id, key, now)
    extra = [right for right, wanted in (("issues", options.comment), ("statuses", options.status)) if wanted]
    return AppOptions(options.app_id, key, tuple(extra))
