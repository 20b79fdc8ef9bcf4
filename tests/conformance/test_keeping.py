"""What is kept of a workspace and a conversation while an agent works, and what another task is given of it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

from trunkline.contracts.errors import DomainError, Exhausted, NotFound
from trunkline.contracts.ids import SandboxId
from trunkline.testing.repositories import make_bare, read_files
from trunkline_sandbox.adapters.git import GitProgram, snapshots
from trunkline_sandbox.adapters.keeping import LocalKeep
from trunkline_sandbox.adapters.providers.local import LocalProvider, copying, kill_all
from trunkline_sandbox.adapters.providers.local.copying import Mirror
from trunkline_sandbox.model.snapshots import Held, Snapshot
from trunkline_sandbox.ports import Limits, Remote, SandboxSpec

ID = SandboxId("t1-1")
FILES = {"calc.py": "one\n", "lib/deep.py": "deep\n", ".gitignore": "built/\n", "crlf.txt": "a\r\n", ".gitattributes": "*.txt text\n"}


@dataclass
class Place:
    """A sandbox with a repository in it, as a run has them."""

    root: Path
    provider: LocalProvider
    keep: LocalKeep
    git: GitProgram
    base: str = ""

    @property
    def workspace(self) -> Path:
        return self.root / "boxes" / ID / "box" / "workspace"

    @property
    def home(self) -> Path:
        return self.root / "boxes" / ID / "box" / "home"

    @property
    def bare(self) -> Path:
        return self.root / "runs" / ID / "clean.git"

    async def kept(self, *files: str) -> Snapshot:
        return await self.keep.keep(Held(ID, self.base, files), "1-1-7", 1_700_000_000)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    root = Path(mkdtemp(prefix="tlk-", dir="/tmp"))
    root.chmod(0o711)
    provider = LocalProvider(root / "boxes", unsafe=True)
    made = Place(root, provider, LocalKeep(provider, root / "runs", root / "kept"), GitProgram(seconds=30))
    await provider.ensure(SandboxSpec(ID, Limits()))
    made.base = await made.git.fetch(Remote(str(make_bare(root / "forge", "acme/calc", FILES))), "main", made.bare)
    await made.git.checkout(made.bare, made.base, root / "runs" / ID / "tree")
    await provider.give(ID, root / "runs" / ID / "tree")
    yield made
    provider.close()
    kill_all(root / "boxes")
    shutil.rmtree(root)


async def test_a_workspace_is_kept_byte_for_byte_with_what_git_would_ignore(place: Place) -> None:
    (place.workspace / "calc.py").write_text("two\n")
    (place.workspace / "lib/deep.py").unlink()
    (place.workspace / "built").mkdir()
    (place.workspace / "built/out.o").write_bytes(b"\0\1")
    (place.workspace / "new.txt").write_bytes(b"x\r\n")
    snapshot = await place.kept()
    found = read_files(place.bare, snapshot.commit)
    assert found["calc.py"] == b"two\n" and found["built/out.o"] == b"\0\1" and found["new.txt"] == b"x\r\n"
    assert "lib/deep.py" not in found and found["crlf.txt"] == b"a\r\n"


async def test_what_was_kept_earlier_stays_as_it_was(place: Place) -> None:
    first = await place.kept()
    (place.workspace / "calc.py").write_text("two\n")
    (place.workspace / "lib/more.py").write_text("more\n")
    second = await place.kept()
    (place.workspace / "calc.py").write_text("six\n")
    third = await place.kept()
    texts = [read_files(place.bare, one.commit)["calc.py"] for one in (first, second, third)]
    assert texts == [b"one\n", b"two\n", b"six\n"]
    assert len({first.name, second.name, third.name}) == 3


async def test_what_did_not_change_is_named_anew_and_not_committed_anew(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_TICK_NS", -3600 * 10**9)  # as if all of it had been written long ago
    await place.keep.prepare(Held(ID, place.base), 1)
    [first, second] = [await place.kept(), await place.kept()]
    (place.workspace / "calc.py").write_text("two\n")
    third = await place.kept()
    assert first.commit == second.commit != third.commit and first.name != second.name
    assert read_files(place.bare, second.commit)["calc.py"] == b"one\n" and read_files(place.bare, third.commit)["calc.py"] == b"two\n"


async def test_what_changes_after_it_was_prepared_is_kept(place: Place) -> None:
    await place.keep.prepare(Held(ID, place.base), 1)
    (place.workspace / "calc.py").write_text("two\n")
    (place.workspace / "lib/deep.py").unlink()
    found = read_files(place.bare, (await place.kept()).commit)
    assert found["calc.py"] == b"two\n" and "lib/deep.py" not in found


@pytest.mark.parametrize("more", [b"", b"and so on\n"])
async def test_a_conversation_that_was_packed_ahead_is_kept_as_it_stands_at_the_end(place: Place, more: bytes) -> None:
    talk = place.home / ".talk" / "one"
    talk.parent.mkdir()
    talk.write_bytes(b"so it began\n")
    await place.keep.prepare(Held(ID, place.base, (".talk/*",)), 1)
    [packed] = (place.bare.parent / "homes").iterdir()
    inode = packed.stat().st_ino
    with talk.open("ab") as file:
        file.write(more)
    [first, second] = [await place.kept(".talk/*"), await place.kept(".talk/*")]
    assert {**await place.keep.home(ID, first.name)} == {**await place.keep.home(ID, second.name)} == {".talk/one": b"so it began\n" + more}
    left = {file.name: file.stat().st_ino for file in (place.bare.parent / "homes").iterdir()}
    assert set(left) == {first.name, second.name} and (left[first.name] == inode) is (more == b"")


@pytest.mark.parametrize(
    "change", [lambda ws: (ws / "d/a").unlink(), lambda ws: (ws / "new").mkdir(), lambda ws: (ws / "b").write_text("x")]
)
def test_a_mirror_says_whether_anything_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], object]) -> None:
    monkeypatch.setattr(copying, "_TICK_NS", -3600 * 10**9)
    source, copy, mirror = tmp_path / "ws", tmp_path / "copy", Mirror(1 << 20)
    (source / "d").mkdir(parents=True)
    (source / "d/a").write_text("file")
    assert [mirror.update(source, copy) for _ in range(3)] == [True, False, False]
    change(source)
    assert [mirror.update(source, copy) for _ in range(2)] == [True, False]


async def test_no_link_and_no_repository_of_the_agents_is_followed(place: Place, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hunter2")
    shutil.rmtree(place.workspace / "lib")
    (place.workspace / "lib").symlink_to(secret)
    (place.workspace / "key").symlink_to(secret / "key")
    (place.workspace / "nested/.git").mkdir(parents=True)
    (place.workspace / "nested/.git/config").write_text("[core]\n\tfsmonitor = touch /tmp/never\n")
    (place.workspace / "nested/file").write_text("mine")
    os.mkfifo(place.workspace / "pipe")
    found = read_files(place.bare, (await place.kept()).commit)
    assert found["lib"] == str(secret).encode() and found["key"] == str(secret / "key").encode()
    assert [name for name in found if name.startswith("nested")] == ["nested/file"]
    assert "pipe" not in found


async def test_only_the_files_of_the_conversation_are_kept_of_a_home(place: Place, tmp_path: Path) -> None:
    projects = place.home / ".claude/projects/-workspace"
    (projects / "s1/subagents/deep").mkdir(parents=True)
    (projects / "s1.jsonl").write_text("talk")
    (projects / "s2.jsonl").write_text("another")
    (projects / "s1/subagents/deep/a.jsonl").write_text("sub")
    (projects / "s1/link").symlink_to("/etc/passwd")
    (place.home / ".claude/token").write_text("hunter2")
    snapshot = await place.kept(".claude/projects/*/s1.jsonl", ".claude/projects/*/s1/**/*")
    home = await place.keep.home(ID, snapshot.name)
    assert home == {
        ".claude/projects/-workspace/s1.jsonl": b"talk",
        ".claude/projects/-workspace/s1/subagents/deep/a.jsonl": b"sub",
    }


async def test_another_task_is_given_what_was_kept_after_the_run_is_over(place: Place) -> None:
    (place.home / ".conversation").mkdir()
    (place.home / ".conversation/s.json").write_text("[1]")
    (place.workspace / "calc.py").write_text("two\n")
    snapshot = await place.kept(".conversation/**/*")
    for _ in range(2):
        await place.keep.put_away(ID)
        await place.provider.remove(ID)
    assert not (place.root / "runs" / ID).exists() and not (place.root / "kept" / ID / "mirror").exists()
    bare, tree = place.root / "runs/t2-1/clean.git", place.root / "runs/t2-1/tree"
    for _ in range(2):
        await place.keep.restore(ID, snapshot, bare)
    await place.git.checkout(bare, snapshot.commit, tree, place.base)
    assert (tree / "calc.py").read_text() == "two\n"
    assert (tree / ".git/HEAD").exists()
    assert await place.keep.home(ID, snapshot.name) == {".conversation/s.json": b"[1]"}


async def test_what_is_not_there_is_lost(place: Place) -> None:
    with pytest.raises(NotFound) as lost:
        await place.keep.restore(SandboxId("gone-1"), Snapshot("x", "0" * 40), place.root / "runs/t2-1/clean.git")
    assert lost.value.code == "SNAPSHOT_LOST"
    with pytest.raises(NotFound) as without:
        await place.keep.restore(ID, Snapshot("x", "0" * 40), place.root / "runs/t2-1/clean.git")
    assert without.value.code == "SNAPSHOT_LOST"


async def test_what_is_old_or_too_much_goes_the_oldest_first(place: Place) -> None:
    await place.kept()
    await place.keep.put_away(ID)
    kept = place.root / "kept"
    shutil.copytree(kept / ID, kept / "t0-1")
    os.utime(kept / "t0-1", (time.time() - 8 * 86400,) * 2)
    await place.keep.sweep()
    assert [one.name for one in kept.iterdir()] == [ID]
    shutil.copytree(kept / ID, kept / "t0-2")
    os.utime(kept / "t0-2", (time.time() - 86400,) * 2)
    size = sum(file.lstat().st_blocks * 512 for file in (kept / ID).rglob("*") if file.is_file())
    await LocalKeep(place.provider, place.root / "runs", kept, most=size * 3 // 2).sweep()
    assert [one.name for one in kept.iterdir()] == [ID]


async def test_an_attempt_that_took_its_share_keeps_only_its_last_state(place: Place) -> None:
    keep = LocalKeep(place.provider, place.root / "runs", place.root / "kept", most=4 << 20)
    await keep.keep(Held(ID, place.base), "1-1-1", 1_700_000_000)
    (place.workspace / "large").write_bytes(os.urandom(2 << 20))
    await keep.keep(Held(ID, place.base), "1-1-2", 1_700_000_000)
    with pytest.raises(Exhausted) as refused:
        await keep.keep(Held(ID, place.base), "1-1-3", 1_700_000_000)
    assert refused.value.code == "SNAPSHOTS_FULL"
    assert (await keep.keep(Held(ID, place.base, last=True), "1-1-4", 1_700_000_000)).commit


async def test_what_is_too_much_by_itself_costs_the_others_nothing(place: Place) -> None:
    await place.kept()
    await place.keep.put_away(ID)
    kept = place.root / "kept"
    shutil.copytree(kept / ID, kept / "t9-1")
    (kept / "t9-1" / "large").write_bytes(os.urandom(4 << 20))
    await LocalKeep(place.provider, place.root / "runs", kept, most=2 << 20).sweep()
    assert [one.name for one in kept.iterdir()] == [ID]


async def test_a_workspace_is_kept_without_a_conversation_that_is_too_long(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "MOST_HOME", 1000)
    (place.home / ".conversation").mkdir()
    (place.home / ".conversation/s.json").write_bytes(b"x" * 2000)
    (place.workspace / "calc.py").write_text("two\n")
    snapshot = await place.kept(".conversation/**/*")
    assert read_files(place.bare, snapshot.commit)["calc.py"] == b"two\n"
    assert "conversation is longer" in snapshot.without
    assert list((place.root / "runs" / ID / "homes").glob("*")) == []


async def test_nobody_else_of_this_machine_reads_what_is_kept(place: Place) -> None:
    (place.home / ".conversation").mkdir()
    (place.home / ".conversation/s.json").write_text("[1]")
    snapshot = await place.kept(".conversation/**/*")
    homes = place.root / "runs" / ID / "homes"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (homes, homes / snapshot.name)] == [0o700, 0o600]
    (homes / ".half.part").write_text("left by a kill")
    await place.keep.put_away(ID)
    kept = place.root / "kept"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (kept, kept / ID)] == [0o700, 0o700]
    assert [path.name for path in (kept / ID / "homes").iterdir()] == [snapshot.name]


async def test_what_cannot_be_copied_is_not_said_to_be_lost(place: Place) -> None:
    snapshot = await place.kept()
    await place.keep.put_away(ID)
    for refused, code in (("No space left on device", "DISK_FULL"), ("Input/output error", "GIT_FAILED")):
        program = place.root / "cp"
        program.write_text(f"#!/bin/sh\necho 'cp: cannot create: {refused}' >&2\nexit 1\n")
        program.chmod(0o755)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(snapshots, "environment", lambda: {"PATH": f"{place.root}:{os.environ['PATH']}"})
            with pytest.raises(DomainError) as told:
                await place.keep.restore(ID, snapshot, place.root / "runs/t2-1/clean.git")
        assert told.value.code == code


_GIT = """#!/bin/sh
trap 'sleep 0.2; rm held; exit 143' TERM
echo "$1" >> begun; touch held
while :; do sleep 0.02; done
"""


async def test_a_git_whose_snapshot_is_not_wanted_any_more_may_put_down_what_it_holds(tmp_path: Path) -> None:
    for name in ("bare", "tree", "desk"):
        (tmp_path / name).mkdir()
    for name in ("HEAD", "config"):
        (tmp_path / "bare" / name).touch()
    program = tmp_path / "git"
    program.write_text(_GIT)
    program.chmod(0o755)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(snapshots, "environment", lambda: {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
        of = snapshots.Tree(tmp_path / "bare", tmp_path / "tree", tmp_path / "desk", "0" * 40)
        keeping = asyncio.create_task(snapshots.snapshot(of, 1))
        for _ in range(1000):
            if (of.tree / "held").exists():
                break
            await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.wait({keeping})
    assert keeping.cancelled() and [path.name for path in of.tree.iterdir()] == ["begun"]
    assert len((of.tree / "begun").read_text().split()) == 1


@pytest.mark.parametrize(("tick_s", "again"), [(3600, True), (-3600, False)], ids=["a moment ago", "long ago"])
def test_what_changed_a_moment_ago_is_not_taken_for_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tick_s: int, again: bool) -> None:
    monkeypatch.setattr(copying, "_TICK_NS", tick_s * 10**9)
    source, copy, mirror = tmp_path / "ws", tmp_path / "copy", Mirror(1 << 20)
    source.mkdir()
    (source / "a").write_text("file")
    mirror.update(source, copy)
    (copy / "a").write_text("ours")  # stands for what changed without its time of change telling of it
    mirror.update(source, copy)
    assert ((copy / "a").read_text() == "file") is again


async def test_a_tree_of_many_files_is_kept_in_few(place: Place) -> None:
    for number in range(300):
        (place.workspace / f"{number}.txt").write_text(f"{number}\n")
    snapshot = await place.kept()
    assert read_files(place.bare, snapshot.commit)["299.txt"] == b"299\n"
    assert len([file for file in (place.bare / "objects").rglob("*") if file.is_file()]) < 100


def test_a_workspace_that_is_too_large_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/large").write_bytes(b"x" * 2048)
    with pytest.raises(Exhausted) as refused:
        Mirror(1024).update(tmp_path / "ws", tmp_path / "copy")
    assert refused.value.code == "SNAPSHOT_TOO_LARGE"


def test_a_mirror_follows_files_that_become_folders_and_back(tmp_path: Path) -> None:
    source, copy, mirror = tmp_path / "ws", tmp_path / "copy", Mirror(1 << 20)
    source.mkdir()
    (source / "a").write_text("file")
    mirror.update(source, copy)
    (source / "a").unlink()
    (source / "a").mkdir()
    (source / "a/b").write_text("deep")
    mirror.update(source, copy)
    assert (copy / "a/b").read_text() == "deep"
    shutil.rmtree(source / "a")
    (source / "a").symlink_to("elsewhere")
    mirror.update(source, copy)
    assert os.readlink(copy / "a") == "elsewhere"


async def test_a_small_workspace_is_kept_quickly(place: Place) -> None:
    took = []
    for number in range(12):
        (place.workspace / "calc.py").write_text(f"{number}\n")
        began = time.perf_counter()
        await place.kept()
        took.append(time.perf_counter() - began)
    print(f"snapshot p50 {sorted(took)[6] * 1000:.0f} ms")
    assert sorted(took)[6] < 10.0


def test_a_link_that_is_swapped_in_while_it_is_copied_shows_nothing_of_this_machine(tmp_path: Path) -> None:
    source, copy, secret, over = tmp_path / "ws", tmp_path / "copy", tmp_path / "secret", threading.Event()
    for folder in (source / "real", secret):
        folder.mkdir(parents=True)
        (folder / "key").write_text("hunter2" if folder is secret else "mine")
    (source / "link").symlink_to(secret)

    def swap() -> None:
        names = [source / name for name in ("real", "d", "link", "real")]
        while not over.is_set():
            for old, new in ((0, 1), (1, 0), (2, 1), (1, 2)):  # `d` is the folder, nothing, the link, nothing, …
                os.rename(names[old], names[new])

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(400):
            Mirror(1 << 20).update(source, copy)
            texts = {file.read_text() for file in copy.rglob("key") if file.is_file() and not file.parent.is_symlink()}
            assert texts <= {"mine", ""}
            shutil.rmtree(copy)
    finally:
        over.set()
        swapping.join()
