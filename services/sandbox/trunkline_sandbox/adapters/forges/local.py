"""The forge without a server: bare repositories below a root, and pull requests as records inside them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from trunkline.contracts.errors import Invalid, NotFound
from trunkline.runtime.clock import now as time_of_day
from trunkline_sandbox.adapters.forges.records import Record, Records
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import refusal
from trunkline_sandbox.adapters.git.remotes import full_ref
from trunkline_sandbox.adapters.git.trees import known
from trunkline_sandbox.naming import joined
from trunkline_sandbox.ports import Access, PullRequest, PullRequestPage, PullRequestSpec, Remote

_PART = re.compile(r"\A(?![.-])(?!.*\.\.)[A-Za-z0-9._-]{1,100}\Z")
_SHOWN = 400 << 10
"""Bytes of a diff that a page shows."""
_SHOWN_WITHIN = 8
"""Seconds: who looks at a page waits ten."""


class LocalForge:
    """ports.Forge. `public_url` is where the gateway is reached; it serves the pages of the pull requests."""

    name = "local"

    def __init__(self, root: Path, public_url: str, now: Callable[[], datetime] = time_of_day) -> None:
        self._root = root
        self._pages = f"{public_url.rstrip('/')}/forge/local"
        self._now = now

    @asynccontextmanager
    async def remote(self, access: Access) -> AsyncIterator[Remote]:
        """Raises Invalid for what is no name, NotFound for what is not there or lies outside the root."""
        yield Remote(str(self._path(access.repo)))

    async def open_pull_request(self, access: Access, spec: PullRequestSpec) -> PullRequest:
        """Raises NotFound when a branch is missing, Unavailable when the repository's lock is not to be had.

        `access` decides nothing here: who can write below the root needs no credential.
        """
        path = self._path(spec.repo)
        head = await _commit(path, spec.head)
        record = Record(
            number=0,
            base=spec.base,
            head=spec.head,
            title=spec.title,
            body=spec.body,
            commit=known(spec.commit),
            merge_base=await _merge_base(path, await _commit(path, spec.base), head),
            created_at=self._now(),
        )
        number = await asyncio.to_thread(Records(path).find_or_add, record, lambda body: joined(body, spec.note, spec.task))
        return PullRequest(number, f"{self._pages}/{_name(spec.repo)}/pulls/{number}")

    async def branch_for(self, access: Access, number: int) -> str:
        """Raises NotFound. Nothing is ever merged or closed here."""
        return (await asyncio.to_thread(Records(self._path(access.repo)).get, number)).head

    async def tell_status(self, access: Access, commit: str, state: str, told: str) -> None:
        """Nobody looks for a status in a folder."""

    async def show_pull_request(self, repo: str, number: int) -> PullRequestPage:
        """Raises NotFound. The diff is taken from where the branches parted, so that it still stands after a merge."""
        path = self._path(repo)
        record = await asyncio.to_thread(Records(path).get, number)
        diff = await _diff(path, record)
        return PullRequestPage(
            number=number,
            repo=_name(repo),
            base=record.base,
            head=record.head,
            title=record.title,
            body=record.body,
            diff=diff.out.decode("utf-8", "replace"),
            cut=diff.cut,
            created_at=record.created_at.isoformat(),
        )

    def _path(self, repo: str) -> Path:
        path = self._root / f"{_name(repo)}.git"
        # A link that leads out of the root shows what nobody put into the forge.
        inside = path.resolve().is_relative_to(self._root.resolve())
        if not (inside and (path / "HEAD").is_file() and (path / "objects").is_dir()):
            text = f"The local forge has no repository {_name(repo)!r}; make it below its root with `git init --bare {_name(repo)}.git`."
            raise NotFound(text, code="REPO_NOT_FOUND")
        return path


def _name(repo: str) -> str:
    """`owner/name` without the `.git` that git itself lets people add."""
    owner, slash, name = repo.removesuffix(".git").partition("/")
    if not (slash and _PART.match(owner) and _PART.match(name)) or owner.endswith(".git"):
        text = "A repository is named owner/name; each part has 1 to 100 letters, digits, '.', '_' or '-' and begins with none of '.-'."
        raise Invalid(text, code="REPO_INVALID", repo=repo[:210])
    return f"{owner}/{name}"


async def _commit(path: Path, branch: str) -> str:
    ref = full_ref(branch)
    answer = await _git(path, "rev-parse", "--quiet", "--verify", f"{ref}^{{commit}}")
    if answer.code:
        text = f"The repository has no branch {branch!r}, so it cannot be part of a pull request; push it, then try again."
        raise NotFound(text, code="BRANCH_NOT_FOUND", branch=branch)
    return answer.text


async def _merge_base(path: Path, base: str, head: str) -> str:
    """Where the branches parted; histories that never met are compared as they stand."""
    answer = await _git(path, "merge-base", base, head)
    return base if answer.code else answer.text


async def _diff(path: Path, record: Record) -> Answer:
    """Of the head as it stands now, or of what it was when the branch is gone."""
    found = await _git(path, "rev-parse", "--quiet", "--verify", f"{full_ref(record.head)}^{{commit}}")
    head = record.commit if found.code else found.text
    options = ("--no-color", "--no-ext-diff", "--no-textconv", "--submodule=short", "-M")
    answer = await _git(path, "diff", *options, known(record.merge_base), head, "--")
    if answer.code and not answer.cut:
        raise refusal(answer, "show the pull request")
    return answer


async def _git(path: Path, *args: str) -> Answer:
    return await run(Call(("git", *args), {**environment(), "GIT_DIR": str(path)}, keep=_SHOWN, seconds=_SHOWN_WITHIN))
