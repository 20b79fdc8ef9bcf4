"""Whatever an agent plants in its repository or its tree, nothing of it runs, blocks or leads outside."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conformance.git.job import SPEC, Job, hook, sprung
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.testing.repositories import add_commit, branches, git

HOOKS = ("pre-commit", "post-commit", "pre-push", "reference-transaction", "post-index-change", "post-checkout", "fsmonitor-watchman")
PROGRAMS = ("core.fsmonitor", "filter.x.clean", "filter.x.process", "diff.x.textconv", "diff.external", "core.sshCommand", "core.pager")


async def test_hooks_that_the_agent_planted_never_run(job: Job, trap: Path) -> None:
    for name in HOOKS:
        hook(job.tree / ".git/hooks", name, trap)
        hook(job.tree / "hooks", name, trap)
    job.plant("core.hooksPath", str(job.tree / "hooks"))
    made = await job.commit()
    assert made
    await job.git.push(job.bare, job.remote, made.sha, SPEC.branch)
    assert not sprung(trap)


async def test_programs_named_in_the_agents_settings_never_run(job: Job, trap: Path) -> None:
    for setting in PROGRAMS:
        job.plant(setting, str(trap))
    (job.tree / ".gitattributes").write_text("* filter=x diff=x\n")
    (job.tree / "calc.py").write_text("changed\n")
    assert (await job.committed())["calc.py"] == b"changed\n"
    assert not sprung(trap)


async def test_a_nested_repository_is_committed_as_plain_files_and_runs_nothing(job: Job, trap: Path) -> None:
    nested = job.tree / "vendor/lib"
    subprocess.run(["git", "init", "--quiet", str(nested)], check=True)
    (nested / "a.py").write_text("a\n")
    identity = ["-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run(["git", "-C", str(nested), "add", "a.py"], check=True)
    subprocess.run(["git", "-C", str(nested), *identity, "commit", "--quiet", "-m", "x"], check=True)
    subprocess.run(["git", "-C", str(nested), "config", "core.fsmonitor", str(trap)], check=True)
    (job.tree / "empty").mkdir()
    (job.tree / "empty/.git").mkdir()
    (job.tree / "file").mkdir()
    (job.tree / "file/.git").write_text("gitdir: /etc\n")
    found = await job.committed()
    assert found["vendor/lib/a.py"] == b"a\n"
    assert not [name for name in found if ".git/" in name or name.endswith("/.git")]
    assert "160000" not in git(job.bare, "ls-tree", "-r", SPEC.branch)
    assert not sprung(trap)


async def test_a_submodule_stays_what_it_was_and_is_never_entered(job: Job, trap: Path) -> None:
    link = f"160000,{'1' * 40},sub"
    index = {**os.environ, "GIT_DIR": str(job.forge), "GIT_INDEX_FILE": str(job.forge / "i")}
    modules = f'[submodule "sub"]\n\tpath = sub\n\turl = ext::{trap}\n\tupdate = !{trap}\n'
    add_commit(job.forge, {".gitmodules": modules})
    for args in (("read-tree", "main"), ("update-index", "--add", "--cacheinfo", link)):
        subprocess.run(["git", *args], env=index, check=True)
    tree = subprocess.run(["git", "write-tree"], env=index, check=True, capture_output=True, text=True).stdout.strip()
    commit = git(job.forge, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", tree, "-m", "sub")
    git(job.forge, "update-ref", "refs/heads/main", commit)
    job.base = await job.git.fetch(job.remote, "main", job.bare)
    await job.git.checkout(job.bare, job.base, job.tree)
    assert await job.commit() is None
    subprocess.run(["git", "init", "--quiet", str(job.tree / "sub")], check=True)
    subprocess.run(["git", "-C", str(job.tree / "sub"), "config", "core.fsmonitor", str(trap)], check=True)
    (job.tree / "sub/inside").write_text("x")
    (job.tree / "calc.py").write_text("changed\n")
    await job.commit()
    assert git(job.bare, "ls-tree", SPEC.branch, "sub").split()[:3] == ["160000", "commit", "1" * 40]
    assert not sprung(trap)


async def test_a_repository_that_was_turned_into_something_else_does_no_harm(job: Job) -> None:
    subprocess.run(["rm", "-rf", str(job.tree / ".git")], check=True)
    (job.tree / ".git").write_text(f"gitdir: {job.forge}\n")
    (job.tree / "calc.py").write_text("changed\n")
    assert (await job.committed())["calc.py"] == b"changed\n"
    assert branches(job.forge) == {"main": job.base}


async def test_what_the_agent_writes_into_its_objects_does_not_reach_ours(job: Job) -> None:
    for pack in (job.tree / ".git/objects/pack").iterdir():
        pack.chmod(0o644)
        pack.write_bytes(b"garbage")
    (job.tree / "calc.py").write_text("changed\n")
    assert (await job.committed())["calc.py"] == b"changed\n"
    git(job.bare, "fsck", "--strict")


async def test_a_link_is_committed_as_a_link_and_never_followed(job: Job, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/deep.py").write_text("not yours")
    (job.tree / "secret").symlink_to("/etc/passwd")
    subprocess.run(["rm", "-r", str(job.tree / "lib")], check=True)
    (job.tree / "lib").symlink_to(tmp_path / "outside")
    found = await job.committed()
    assert found["secret"] == b"/etc/passwd"
    assert found["lib"] == str(tmp_path / "outside").encode()
    assert "lib/deep.py" not in found


async def test_fifos_and_sockets_are_left_out_and_block_nothing(job: Job) -> None:
    (job.tree / "calc.py").unlink()
    os.mkfifo(job.tree / "calc.py")
    os.mkfifo(job.tree / "lib/.gitignore")
    os.mkfifo(job.tree / ".gitattributes")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(os.path.relpath(job.tree / "sock"))
        assert set(await job.committed()) == {"lib/deep.py", "run.sh", ".gitignore"}


async def test_files_without_any_permission_are_committed(job: Job) -> None:
    (job.tree / "hidden").mkdir()
    (job.tree / "hidden/x").write_text("x\n")
    for path in ("calc.py", "hidden/x", "hidden"):
        (job.tree / path).chmod(0)
    (job.tree / "lib/new.py").write_text("new\n")
    found = await job.committed()
    assert {"calc.py", "hidden/x", "lib/new.py"} <= set(found)


COMMIT = """
import asyncio, sys
from pathlib import Path
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.ports import CommitSpec
bare, base, tree = sys.argv[1:]
print(asyncio.run(GitProgram().commit(Path(bare), base, Path(tree), CommitSpec("b", "m", "a", 1))).files_changed)
"""


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv to lay down what root may do")
async def test_files_without_any_permission_are_committed_by_one_who_is_not_almighty(job: Job) -> None:
    (job.tree / "hidden").mkdir()
    (job.tree / "hidden/x").write_text("x\n")
    (job.tree / "calc.py").write_text("changed\n")
    for path in ("calc.py", "hidden/x", "hidden"):
        (job.tree / path).chmod(0)
    plain = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
    argv = [*plain, sys.executable, "-c", COMMIT, str(job.bare), job.base, str(job.tree)]
    assert subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout == "2\n"


async def test_a_tree_nested_too_deep_to_read_is_refused_and_can_be_replaced(job: Job) -> None:
    deep = 'mkdir d && cd -P d || exit 1; i=0; while [ $i -lt 25 ]; do mkdir "$0" && cd -P "$0" || exit 1; i=$((i+1)); done'
    subprocess.run(["sh", "-c", deep, "n" * 200], cwd=job.tree, check=True)
    with pytest.raises(Invalid) as refused:
        await job.commit()
    assert refused.value.code == "TREE_UNREADABLE"
    await job.git.checkout(job.bare, job.base, job.tree)
    assert not (job.tree / "d").exists()


async def test_a_thousand_levels_are_no_trouble(job: Job) -> None:
    levels = 1100
    subprocess.run(["mkdir", "-p", "/".join("d" * levels)], cwd=job.tree, check=True)
    (job.tree / "/".join("d" * levels) / "x").write_text("x")
    assert "/".join(["d"] * levels + ["x"]) in await job.committed()
    await job.git.checkout(job.bare, job.base, job.tree)
    assert os.listdir(job.tree.parent) in (["bare", "tree"], ["tree", "bare"])


async def test_a_folder_with_a_thousand_levels_is_discarded_and_so_is_nothing(job: Job) -> None:
    subprocess.run(["mkdir", "-p", "/".join("d" * 1100)], cwd=job.tree, check=True)
    await job.git.discard(job.tree.parent)
    assert not job.tree.parent.exists()
    await job.git.discard(job.tree.parent)


async def test_a_path_that_git_forbids_is_refused_by_name(job: Job) -> None:
    (job.tree / ".GIT").mkdir()
    (job.tree / ".GIT/config").write_text("x")
    with pytest.raises(Invalid) as refused:
        await job.commit()
    assert refused.value.code == "TREE_REFUSED"
    assert ".GIT/config" in str(refused.value.details["git"])


async def test_a_tree_that_is_gone_is_said_to_be_gone(job: Job, tmp_path: Path) -> None:
    job.tree = tmp_path / "nowhere"
    with pytest.raises(NotFound):
        await job.commit()
