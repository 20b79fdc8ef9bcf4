"""Giving a branch to a remote: the branch is new, or it is already what it should be, or somebody else has it."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from trunkline.contracts.errors import Conflict, Denied, DomainError
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import last_line, refusal
from trunkline_sandbox.adapters.git.remotes import Bounds, full_ref, heads, local, speaking, there
from trunkline_sandbox.adapters.git.trees import known
from trunkline_sandbox.model.branches import branch_moved
from trunkline_sandbox.ports import Remote

_STALE_S = 5.0


@dataclass(frozen=True, slots=True)
class Move:
    """What a branch is to become, and what it must be until then: `expected` is empty for one that is not there."""

    branch: str
    commit: str
    expected: str = ""


async def push(bare: Path, remote: Remote, move: Move, bounds: Bounds) -> None:
    """See ports.Git."""
    ref = full_ref(move.branch)
    _unlock(remote, ref)
    # The lease says what the branch is; git finds one that already is this commit up to date before it looks at the lease.
    lease = f"--force-with-lease={ref}:{known(move.expected) if move.expected else ''}"
    options = ("--porcelain", "--no-verify", "--no-follow-tags", lease, *there(remote, "receive-pack"))
    argv = ("git", "push", *options, "--", remote.url, f"{known(move.commit)}:{ref}")
    answer = await run(Call(argv, {**speaking(remote), "GIT_DIR": str(bare)}, seconds=bounds.seconds))
    if answer.code and (error := await _why(answer, remote, move, bounds)):
        raise error


async def _why(answer: Answer, remote: Remote, move: Move, bounds: Bounds) -> DomainError | None:
    """None when the branch is the commit after all: an earlier try may have been cut off just after it had its way."""
    error = refusal(answer, "push the branch", remote.env)
    if error.code not in ("GIT_FAILED", "REPO_LOCKED"):
        return error
    branch, there_now = move.branch, (await heads(remote, bounds)).get(full_ref(move.branch))
    if there_now == move.commit:
        return None
    if move.expected and there_now != move.expected:
        return branch_moved(branch, there_now)
    if there_now and not move.expected:
        text = f"The branch {branch!r} is at the forge already with other work on it; remove or rename it there, then try again."
        return Conflict(text, code="BRANCH_TAKEN", branch=branch, commit=there_now)
    if "[remote rejected]" in answer.text and error.code == "GIT_FAILED":
        said = next(line for line in answer.text.splitlines() if "[remote rejected]" in line)
        text = f"The forge refuses the branch {branch!r}; look at its rules for pushes, and at who may write to the repository."
        return Denied(text, code="PUSH_REFUSED", git=last_line(f"{answer.err}\n! {said}", remote.env))
    return error


def _unlock(remote: Remote, ref: str) -> None:
    """A killed receiver leaves the lock of its branch, which is nobody's but this task's; old means that nobody holds it."""
    path = local(remote)
    if path is None:
        return
    lock = path / f"{ref}.lock"
    with contextlib.suppress(OSError):
        if time.time() - lock.lstat().st_mtime > _STALE_S:
            lock.unlink()
