"""Bringing one branch of a remote into a clean bare repository of ours."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from trunkline.contracts.errors import DomainError, Invalid, NotFound
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.places import aside, put, sweep, unlock
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import refusal
from trunkline_sandbox.adapters.git.remotes import Bounds, full_ref, heads, speaking, there
from trunkline_sandbox.ports import Remote

KEPT = "refs/remotes/origin/"
"""Where fetched branches stand; apart from our own, which may be named below one of them."""


async def fetch(remote: Remote, branch: str, bare: Path, bounds: Bounds) -> str:
    """See ports.Git. A new repository shows itself only when it is whole."""
    full_ref(branch)
    await sweep(bare)
    if (bare / "HEAD").is_file():
        unlock(bare)
        return await _bring(remote, branch, bare, bounds)
    made = aside(bare)
    await _git(("init", "--quiet", "--bare", "--template=", str(made)), made, "make a repository")
    commit = await _bring(remote, branch, made, bounds)
    await put(made, bare)
    return commit


async def _bring(remote: Remote, branch: str, bare: Path, bounds: Bounds) -> str:
    pack = bare / "objects" / "pack"
    depth = () if bounds.depth is None else (f"--depth={bounds.depth}",)
    refspec = f"+{full_ref(branch)}:{KEPT}{branch}"
    options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", *depth, *there(remote, "upload-pack"))
    argv = ("git", "fetch", *options, "--", remote.url, refspec)
    env = {**speaking(remote), "GIT_DIR": str(bare)}
    answer = await run(Call(argv, env, seconds=bounds.seconds, unless=lambda: weigh(pack) > bounds.size))
    if answer.halted or weigh(pack) > bounds.size:
        raise too_large(bounds)
    if answer.code:
        raise await _why(answer, remote, branch, bounds)
    return (await _git(("rev-parse", "--verify", f"{KEPT}{branch}^{{commit}}"), bare, "read the branch")).text


async def _why(answer: Answer, remote: Remote, branch: str, bounds: Bounds) -> DomainError:
    if "couldn't find remote ref" not in answer.err:
        return refusal(answer, "fetch the repository", remote.env)
    found = sorted(name.removeprefix("refs/heads/") for name in await heads(remote, bounds))
    if not found:
        text = "The repository has no commit yet, so there is nothing to work on; push a first commit to it, then try again."
        return Invalid(text, code="REPO_EMPTY")
    text = f"The repository has no branch {branch!r}; name one of those it has, such as {found[0]!r}, or push that branch first."
    return NotFound(text, code="BRANCH_NOT_FOUND", branch=branch, branches=[*found[:20]])


def too_large(bounds: Bounds) -> Invalid:
    text = f"The repository is larger than the {bounds.size / (1 << 20):,.0f} MiB allowed; raise the limit, or fetch less history."
    return Invalid(text, code="REPO_TOO_LARGE", limit=bounds.size)


def weigh(folder: Path) -> int:
    """Bytes in the files of one folder, which may be changing meanwhile."""
    total = 0
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            total += os.lstat(folder / name).st_size
    return total


async def _git(args: tuple[str, ...], bare: Path, doing: str) -> Answer:
    answer = await run(Call(("git", *args), {**environment(), "GIT_DIR": str(bare)}))
    if answer.code:
        raise refusal(answer, doing)
    return answer
