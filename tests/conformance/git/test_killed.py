"""A step that was killed in its middle and is repeated ends right."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.campaigns import tries
from tests.conformance.git.job import SPEC, Job
from trunkline.testing.repositories import add_commit, branches, git, make_bare, tip

LOCKS = (
    *("HEAD.lock", "packed-refs.lock", "shallow.lock", "config.lock"),
    *(f"refs/heads/{SPEC.branch}.lock", "refs/remotes/origin/main.lock"),
)


async def test_what_a_killed_step_left_does_not_hinder_the_next(job: Job) -> None:
    (job.tree / "calc.py").write_text("changed\n")
    for lock in LOCKS:
        (job.bare / lock).parent.mkdir(parents=True, exist_ok=True)
        (job.bare / lock).touch()
    (job.bare / "trunkline-index-dead").write_bytes(b"half")
    (job.bare / "objects/pack/tmp_pack_x").write_bytes(b"half")
    (job.tree / ".git/index.lock").touch()
    for half in (".tree.trunkline-dead", ".bare.trunkline-dead"):
        (job.tree.parent / half / "x").mkdir(parents=True)
    assert await job.commit()
    add_commit(job.forge, {"calc.py": "newer\n"})
    newer = await job.git.fetch(job.remote, "main", job.bare)
    await job.git.checkout(job.bare, newer, job.tree)
    assert (job.tree / "calc.py").read_text() == "newer\n"
    assert sorted(os.listdir(job.tree.parent)) == ["bare", "tree"]
    assert not [path for path in job.bare.rglob("*") if path.name.endswith(".lock") or "tmp_" in path.name or "index-" in path.name]


STEPS = """
import asyncio, sys
from pathlib import Path
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.ports import CommitSpec, Remote
forge, bare, tree = sys.argv[1:]
async def main():
    git = GitProgram(seconds=60)
    print("go", flush=True)
    base = await git.fetch(Remote(forge), "main", Path(bare))
    await git.checkout(Path(bare), base, Path(tree))
    (Path(tree) / "calc.py").write_text("changed")
    made = await git.commit(Path(bare), base, Path(tree), CommitSpec("trunkline/k", "m", "a", 1))
    await git.push(Path(bare), Remote(forge), made.sha, "trunkline/k")
    print(made.sha, flush=True)
asyncio.run(main())
"""


@pytest.mark.kill
async def test_steps_killed_at_any_moment_and_repeated_end_in_one_branch(tmp_path: Path) -> None:
    forge = make_bare(tmp_path / "forge", "acme/calc", {f"{n:03}/{m}.txt": f"{n} {m}\n" * 200 for n in range(100) for m in range(10)})
    argv = [sys.executable, "-c", STEPS, str(forge), str(tmp_path / "j/bare"), str(tmp_path / "j/tree")]
    for delay in (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)[:: tries(2, 1)]:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    last = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout.split()[-1]
    assert branches(forge) == {"main": tip(forge), "trunkline/k": last}
    assert git(forge, "diff", "--name-only", "main", last) == "calc.py"
    assert sorted(os.listdir(tmp_path / "j")) == ["bare", "tree"]
