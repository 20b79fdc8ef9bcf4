"""Turning what an agent left in its tree into a commit in our own repository."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.places import unlock
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import refusal, unfit
from trunkline_sandbox.adapters.git.remotes import Bounds, full_ref
from trunkline_sandbox.adapters.git.trees import known
from trunkline_sandbox.adapters.git.workspace import clear_away
from trunkline_sandbox.ports import Commit, CommitSpec

_AUTHOR = re.compile(r"\A\s*(?P<name>[^<>]*?)\s*(?:<(?P<email>[^<>]*)>)?\s*\Z")


async def commit(bare: Path, base: str, tree: Path, spec: CommitSpec, bounds: Bounds) -> Commit | None:
    """See ports.Git. Git is told where its repository is, so it never looks for the one that the agent had."""
    branch = full_ref(spec.branch)
    known(base)
    await clear_away(tree, bounds.seconds)
    unlock(bare)
    after, before = await _write(bare, base, tree, bounds)
    if after == before:
        return None
    signed = {"GIT_DIR": str(bare), **_signature(spec)}
    message = spec.message.replace("\0", "").encode("utf-8", "replace")
    sha = (await _git(("commit-tree", after, "-p", base), signed, stdin=message)).text
    await _git(("update-ref", branch, sha), signed)
    return await _counted(bare, base, sha)


async def _write(bare: Path, base: str, tree: Path, bounds: Bounds) -> tuple[str, str]:
    """The tree object of the workspace, and that of the base."""
    index = bare / f"trunkline-index-{secrets.token_hex(4)}"
    env = {"GIT_DIR": str(bare), "GIT_WORK_TREE": str(tree), "GIT_INDEX_FILE": str(index)}
    try:
        await _git(("read-tree", base), env)
        added = await run(Call(("git", "add", "--all"), {**environment(), **env}, tree, seconds=bounds.seconds))
        # Git only warns of a directory that it cannot open, and would then commit its absence.
        if added.code or "could not open directory" in added.err:
            raise unfit(added)
        after = await _git(("write-tree",), env)
    finally:
        index.unlink(missing_ok=True)
    return after.text, (await _git(("rev-parse", "--verify", f"{base}^{{tree}}"), env)).text


def _signature(spec: CommitSpec) -> dict[str, str]:
    match = _AUTHOR.match(spec.author)
    name = " ".join((match["name"] if match else "").split()) or "Trunkline"
    email = (match["email"] if match else None) or "noreply@trunkline.invalid"
    date = f"@{spec.at} +0000"
    return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in zip(_PARTS, (name, email, date), strict=True)}


_PARTS = ("NAME", "EMAIL", "DATE")


async def _counted(bare: Path, base: str, sha: str) -> Commit:
    argv = ("diff-tree", "--shortstat", "-M", "--no-ext-diff", "--no-textconv", base, sha)
    text = (await _git(argv, {"GIT_DIR": str(bare)})).text
    counts = {word: int(count) for count, word in re.findall(r"(\d+) (file|insertion|deletion)", text)}
    return Commit(sha, counts.get("file", 0), counts.get("insertion", 0), counts.get("deletion", 0))


async def _git(args: tuple[str, ...], env: dict[str, str], stdin: bytes = b"") -> Answer:
    answer = await run(Call(("git", *args), {**environment(), **env}, stdin=stdin))
    if answer.code:
        raise refusal(answer, "write the commit")
    return answer
