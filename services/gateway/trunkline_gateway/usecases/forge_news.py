"""What a forge tells of its own accord: work that is asked for there, and pull requests that end."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

import structlog

from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.errors import Denied, NotFound
from trunkline.contracts.forge import ReportPullRequest
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.task import Assignment
from trunkline_gateway.ports import Commands
from trunkline_gateway.usecases.tasks import Tasks

log = structlog.get_logger()

OWNER: Final = "router"


@dataclass(frozen=True, slots=True)
class PullRequestNews:
    """A pull request was merged or closed, and its text names tasks; whether it is theirs is for their owner to say."""

    tasks: tuple[TaskId, ...]
    repo: str
    number: int
    merged: bool
    by: str


@dataclass(frozen=True, slots=True)
class ForgeNews:
    """`tenants`: whose repositories are whose, by patterns of `owner/name`; the first that fits.

    Without any, all are the home tenant's; with some, nothing is done for others: anybody may install a public App.
    """

    tasks: Tasks
    commands: Commands
    now: Callable[[], datetime]
    tenants: Mapping[str, str]
    seal: bytes = field(repr=False)

    async def start(self, repo: str, login: str, assignment: Assignment, delivery: str) -> TaskId:
        """The task of this delivery; the same delivery again is the same task. Raises Denied REPO_NOT_NAMED, Unavailable."""
        principal = Principal(tenant_of(self.tenants, repo), _subject(login), Role.AGENT)
        task = TaskId(self._named(delivery))
        await self.tasks.submit(principal, assignment, id=task)
        return task

    async def ended(self, news: PullRequestNews, delivery: str) -> TaskId:
        """Told to every task that has this pull request; returns the newest.

        Raises NotFound where none has, Denied REPO_NOT_NAMED, Unavailable.
        """
        told, refusal = None, NotFound("no task by that id opened this pull request", code="NO_SUCH_PULL_REQUEST")
        for task in news.tasks:
            try:
                await self._tell(task, news, delivery)
                told = task
            except NotFound as error:
                refusal = error
        if told is None:
            raise refusal
        return told

    async def _tell(self, task: TaskId, news: PullRequestNews, delivery: str) -> None:
        command = ReportPullRequest(
            tenant=tenant_of(self.tenants, news.repo),
            at=self.now(),
            task_id=task,
            repo=news.repo,
            number=news.number,
            merged=news.merged,
            by=news.by,
            delivery=delivery,
        )
        await self.commands.send(OWNER, task, command)

    def _named(self, delivery: str) -> str:
        """32 hex digits in the layout of ids that are minted; nobody can foresee them who does not know the seal."""
        digest = hmac.new(self.seal, f"delivery/{delivery}".encode(), hashlib.sha256).hexdigest()
        return f"{digest[:12]}7{digest[12:15]}8{digest[15:30]}"


def _subject(login: str) -> str:
    """A login of digits alone is no guest's number: a guest's own is what bears its subject."""
    return f"github:@{login}" if login.isdigit() else f"github:{login}"


def tenant_of(tenants: Mapping[str, str], repo: str) -> TenantId:
    """Whose repository it is. Raises Denied REPO_NOT_NAMED."""
    found = (tenant for pattern, tenant in tenants.items() if fnmatchcase(repo.casefold(), pattern.casefold()))
    tenant = next(found, None if tenants else HOME)
    if tenant is None:
        log.warning("github.repository_not_named", repo=repo, setting="github_tenants")
        raise Denied(f"TRUNKLINE_GITHUB_TENANTS names no tenant for {repo}", code="REPO_NOT_NAMED", repo=repo)
    return TenantId(tenant)
