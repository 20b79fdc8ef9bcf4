"""Working trees for agents, each with a throw-away repository that shares nothing with ours."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from trunkline.contracts.errors import NotFound
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.fetching import KEPT, too_large
from trunkline_sandbox.adapters.git.places import aside, put, sweep
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import refusal
from trunkline_sandbox.adapters.git.remotes import Bounds

_LISTING = 64 << 20
_AGENT = "[user]\n\tname = Agent\n\temail = agent@trunkline.invalid\n"


async def checkout(bare: Path, commit: str, tree: Path, bounds: Bounds, base: str = "") -> None:
    """See ports.Git. The tree shows itself only when it is whole."""
    known(commit)
    known(base or commit)
    await sweep(tree)
    await _measure(bare, commit, bounds)
    made = aside(tree)
    branch = await _branch(bare, base or commit)
    await _git(("init", "--quiet", "--template=", f"--initial-branch={branch}", str(made)), {})
    await _copy(bare, made / ".git")
    # Nothing of the agent's is in it yet: what lies there is ours, and the commit brings neither hooks nor settings.
    inside = {"GIT_DIR": str(made / ".git"), "GIT_WORK_TREE": str(made)}
    await _git(("update-ref", f"refs/heads/{branch}", commit), inside)
    await _git(("reset", "--quiet", "--hard"), inside, made, bounds.seconds)
    if base:
        await _git(("reset", "--quiet", "--mixed", base), inside, made, bounds.seconds)
    await put(made, tree)


def known(commit: str) -> str:
    """Raises NotFound for what is no full commit id, and so could be an option or an expression."""
    if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
        raise NotFound(f"{commit[:80]!r} is not a full commit id.", code="COMMIT_NOT_FOUND")
    return commit


async def _measure(bare: Path, commit: str, bounds: Bounds) -> None:
    """A small pack can unfold into terabytes, so the files are counted before one is written."""
    argv = ("git", "ls-tree", "-r", "-l", "-z", commit)
    answer = await run(Call(argv, {**environment(), "GIT_DIR": str(bare)}, keep=_LISTING, seconds=bounds.seconds))
    if answer.code and not answer.cut:
        raise refusal(answer, "read the commit")
    sizes = (entry.split(b"\t", 1)[0].split()[-1] for entry in answer.out.split(b"\0") if entry)
    if answer.cut or sum(int(size) for size in sizes if size.isdigit()) > bounds.size:
        raise too_large(bounds)


async def _branch(bare: Path, commit: str) -> str:
    """What the agent's branch is called: as it was fetched, so that the project's own scripts find it."""
    found = await _git(("for-each-ref", "--count=1", "--format=%(refname)", f"--points-at={commit}", KEPT), {"GIT_DIR": str(bare)})
    return found.text.removeprefix(KEPT) or "main"


async def _copy(bare: Path, to: Path) -> None:
    # Copied, neither linked nor shared: the agent may write into its own objects, never into ours.
    answer = await run(Call(("cp", "-R", "--", str(bare / "objects"), str(to)), environment()))
    if answer.code:
        raise refusal(answer, "copy the history for the agent")
    if (bare / "shallow").is_file():
        shutil.copyfile(bare / "shallow", to / "shallow")
    with (to / "config").open("a") as config:
        config.write(_AGENT)


async def _git(args: tuple[str, ...], env: dict[str, str], cwd: Path | None = None, seconds: float = 60) -> Answer:
    answer = await run(Call(("git", *args), {**environment(), **env}, cwd, seconds=seconds))
    if answer.code:
        raise refusal(answer, "make a working tree")
    return answer
