"""Exactly one pull request for a head: it is looked for before it is made, and again whenever it is not certain what came of making it.

Its text names every task that worked on it.
"""

from __future__ import annotations

import asyncio

import structlog

from trunkline.contracts.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from trunkline.github.api import Account, Done, Pull, Repository
from trunkline.github.calls import Wish
from trunkline_sandbox.naming import joined
from trunkline_sandbox.ports import PullRequest, PullRequestSpec

log = structlog.get_logger(__name__)
_REFUSALS = (Denied, NotFound, Conflict, Invalid)


class PullRequests:
    """The pull requests of one repository. `looks_s` are the pauses before it is looked for where GitHub says that it exists."""

    def __init__(self, account: Account, repository: Repository, looks_s: tuple[float, ...] = (0.5, 1.0, 2.0)) -> None:
        self._account = account
        self._repository = repository
        self._looks_s = looks_s

    async def open(self, spec: PullRequestSpec) -> PullRequest:
        """Raises Unavailable when it is not certain that there is one: whoever comes again finds it, or makes it."""
        pull = await self._find(spec)
        if pull is None:
            try:
                pull = await self._make(spec)
            except _REFUSALS as error:
                await self._account.doubt(error)
                pull = await self._find(spec) or await self._make(spec)
        await self._name(pull, spec)
        return PullRequest(pull.number, pull.html_url)

    async def branch(self, number: int) -> str:
        """Where work about it begins: on its own branch while it is open, else on its base."""
        name = self._repository.full_name
        pull = await self._account.get(f"/repos/{name}/pulls/{number}", "show the pull request", Pull)
        if pull.state != "open":
            return pull.base.ref
        if pull.head.repo is None or pull.head.repo.full_name.lower() != name.lower():
            text = f"The branch of #{number} lies in a fork, where nothing can be pushed to; ask for the work on a branch of {name}."
            raise Denied(text, code="FORK_PULL_REQUEST", number=number)
        return pull.head.ref

    async def _make(self, spec: PullRequestSpec) -> Pull:
        body = {"title": spec.title, "head": spec.head, "base": spec.base, "body": spec.body}
        path = f"/repos/{self._repository.full_name}/pulls"
        try:
            made = await self._account.post(path, "open the pull request", Pull, body)
        except Invalid as error:
            if not error.details.get("exists"):
                raise
            return await self._existing(spec)
        log.info("forge.pull_request_opened", number=made.number)
        return made

    async def _name(self, pull: Pull, spec: PullRequestSpec) -> None:
        """Of one that was there before: without its trailer, news of it would not find this task. What is refused fails nothing."""
        before = (pull.body or "").replace("\r\n", "\n")
        text = joined(before, spec.note, spec.task)
        if text == before:
            return
        path = f"/repos/{self._repository.full_name}/pulls/{pull.number}"
        try:
            await self._account.send(Wish("PATCH", path, "name the task in the pull request", body={"body": text}), Done)
        except _REFUSALS as error:
            log.warning("forge.task_not_named", number=pull.number, code=error.code, error=error.message)

    async def _existing(self, spec: PullRequestSpec) -> Pull:
        """GitHub says that there is one; its lists say so a little later."""
        for pause in self._looks_s:
            await asyncio.sleep(pause)
            if pull := await self._find(spec):
                return pull
        text = "GitHub says that the pull request exists already, and does not list it yet; try again in a moment."
        raise Unavailable(text, code="PULL_REQUEST_NOT_SEEN")

    async def _find(self, spec: PullRequestSpec) -> Pull | None:
        """The newest open one of this head, else the newest: who closed it does not want another one. What was merged is over: work that
        is not in it needs another one.
        """
        name = self._repository.full_name
        query = {"head": f"{name.partition('/')[0]}:{spec.head}", "state": "all", "sort": "created", "direction": "desc", "per_page": "100"}
        listed = await self._account.get(f"/repos/{name}/pulls", "list the pull requests", list[Pull], query)
        found = [pull for pull in listed if self._is_ours(pull, spec)]
        if found:
            log.info("forge.pull_request_found", number=found[0].number, state=found[0].state)
        over = found[0] if found and not (found[0].merged_at and found[0].head.sha not in ("", spec.commit)) else None
        return next((pull for pull in found if pull.state == "open"), over)

    def _is_ours(self, pull: Pull, spec: PullRequestSpec) -> bool:
        """A forge that does not know the filter lists all; a fork may have a branch of this name."""
        here = self._repository.full_name.lower()
        from_here = pull.head.repo is None or pull.head.repo.full_name.lower() in ("", here)
        return pull.head.ref == spec.head and from_here
