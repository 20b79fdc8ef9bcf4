"""What is said beside a pull request, where that is wanted: a comment with the cost, a status of the commit. Neither ever fails a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from trunkline.contracts.errors import DomainError, Exhausted
from trunkline.github.api import Account, Comment, Done, Repository
from trunkline_sandbox.adapters.forges.github.text import comment, marker, status_text
from trunkline_sandbox.ports import PullRequestSpec

log = structlog.get_logger(__name__)
CONTEXT = "trunkline"
WITHIN_S = 30.0
"""Nobody waits longer for what stands beside the pull request."""
WORTH_S = 10.0


class Ornaments:
    """Comments and statuses of one repository."""

    def __init__(self, account: Account, repository: Repository) -> None:
        self._account = account
        self._path = f"/repos/{repository.full_name}"

    async def comment(self, number: int, spec: PullRequestSpec) -> None:
        await self._twice("comment", lambda: self._commented(number, spec))

    async def status(self, commit: str, state: str, told: str) -> None:
        """The newest of a context counts, so saying it twice does no harm."""
        description, link = status_text(told)
        body = {"state": state, "context": CONTEXT, "description": description, **({"target_url": link} if link else {})}
        path = f"{self._path}/statuses/{commit}"
        await self._twice("status", lambda: self._account.post(path, "take the status", Done, body))

    async def _commented(self, number: int, spec: PullRequestSpec) -> None:
        path = f"{self._path}/issues/{number}/comments"
        listed = await self._account.get(path, "list the comments", list[Comment], {"per_page": "100"})
        if not any(marker(spec) in (each.body or "") for each in listed):
            await self._account.post(path, "take the comment", Done, {"body": comment(spec)})

    async def _twice(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        """The pull request is there, and that is what the run was for."""
        try:
            async with asyncio.timeout(WITHIN_S):
                try:
                    await work()
                except Exhausted as error:
                    await _left_alone(error)
                    await work()
                except DomainError as error:
                    await self._account.doubt(error)
                    await work()
        except DomainError as error:
            log.warning("forge.ornament_failed", what=what, code=error.code, error=error.message)
        except TimeoutError:
            log.warning("forge.ornament_failed", what=what, code="FORGE_UNAVAILABLE", error=f"GitHub took longer than {WITHIN_S:.0f} s")


async def _left_alone(error: Exhausted) -> None:
    """Raises the error when GitHub wants to be left alone for longer than such a thing is worth."""
    wanted = error.details.get("retry_after")
    if not isinstance(wanted, int | float) or wanted > WORTH_S:
        raise error
    await asyncio.sleep(wanted)
