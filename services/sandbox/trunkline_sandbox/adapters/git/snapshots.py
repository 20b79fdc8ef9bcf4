"""Commits of a workspace as it stands, beside every branch: what a task may go on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trunkline.contracts.errors import DomainError, NotFound
from trunkline_sandbox.adapters.git.environment import environment
from trunkline_sandbox.adapters.git.places import aside, put, sweep
from trunkline_sandbox.adapters.git.program import Answer, Call, run
from trunkline_sandbox.adapters.git.refusals import refusal
from trunkline_sandbox.adapters.git.trees import known

REFS = "refs/snapshots/"
_SIGNED = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Trunkline"), ("EMAIL", "-"))}
_ONE_PACK = "core.bigFileThreshold=1"
"""All that the first snapshot adds goes into one file, and not into one for each: a tenth of the disk, and of the time."""
_STEPS = f"""trap 'exit 143' TERM
set -e
git ${{3:+-c "$3"}} add --all --force
tree=$(git write-tree)
commit=$(git commit-tree "$tree" -p "$1" -m 'As it stood')
git --git-dir="$2" update-ref "{REFS}$commit" "$commit"
echo "$commit"
"""
"""One program for the four: each start of one holds all else in this process up, while an agent that leaves wants the processor too.

The trap is for who is asked to end: the shell waits for its git, which takes its lock files with it, and begins no other."""
_ATTRIBUTES = "* -text -filter -ident -working-tree-encoding\n"
"""As it stands, byte for byte, whatever the repository wants to be done with its files."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of a workspace that is ours alone, and what git needs beside it to look at it quickly again and again."""

    bare: Path
    tree: Path
    desk: Path
    """A repository with no objects of its own, only an index and attributes that win over those of the tree."""
    base: str


async def snapshot(of: Tree, at: int) -> str:
    """Commit it on top of its base, ignored files too, at `at` seconds since the epoch; returns the commit, which is kept by its name."""
    _lay(of)
    date = f"@{at} +0000"
    env = {"GIT_DIR": str(of.desk), "GIT_WORK_TREE": str(of.tree), "GIT_OBJECT_DIRECTORY": str(of.bare / "objects")}
    signed = {**env, **_SIGNED, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    words = ("sh", "-c", _STEPS, "snapshot", known(of.base), str(of.bare), *(() if (of.desk / "index").is_file() else (_ONE_PACK,)))
    answer = await run(Call(words, {**environment(), **signed}, of.tree))
    if answer.code:
        raise refusal(answer, "keep the workspace")
    return known(answer.text)


def _lay(of: Tree) -> None:
    """As `git init` would, of the kind that the repository is, in a tenth of the time."""
    (of.desk / "index.lock").unlink(missing_ok=True)
    attributes = of.desk / "info" / "attributes"
    if attributes.is_file():
        return
    for name in ("objects", "refs", "info"):
        (of.desk / name).mkdir(parents=True, exist_ok=True)
    for name in ("HEAD", "config"):
        (of.desk / name).write_bytes((of.bare / name).read_bytes())
    attributes.write_text(_ATTRIBUTES)


async def bring(source: Path, commit: str, bare: Path) -> None:
    """Make `bare` a repository with everything that `source` holds. Raises NotFound when the commit is not in it."""
    await sweep(bare)
    made = aside(bare)
    # Objects are never written to once they are there: as links they cost nothing.
    copied = await run(Call(("cp", "-R", "--link", "--", str(source), str(made)), environment()))
    if copied.code:
        raise _uncopied(source, copied)
    await put(made, bare)
    found = await run(Call(("git", "cat-file", "-e", f"{known(commit)}^{{commit}}"), {**environment(), "GIT_DIR": str(bare)}))
    if found.code:
        raise NotFound("The snapshot of the earlier task is gone.", code="SNAPSHOT_LOST")


def _uncopied(source: Path, copied: Answer) -> DomainError:
    """What goes away while it is copied is gone; what is there still was not to be copied for a reason of this machine's."""
    if (source / "HEAD").is_file():
        return refusal(copied, "copy what was kept of the earlier task")
    return NotFound("What was kept of the earlier task is gone.", code="SNAPSHOT_LOST")
