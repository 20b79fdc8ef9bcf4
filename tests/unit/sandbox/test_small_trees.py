"""A small tree is copied as the system's own program would; what only that copies whole is left to it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from trunkline_sandbox.adapters.providers.local import small_trees


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "deep" / "deeper").mkdir(parents=True)
    (source / "deep" / "tool").write_bytes(b"#!/bin/sh\n" * 300_000)
    (source / "deep" / "tool").chmod(0o4755)
    (source / "empty").write_bytes(b"")
    (source / "deep" / "deeper").chmod(0o711)
    (source / "out").symlink_to("/etc/passwd")
    for path in (source / "deep" / "tool", source / "deep"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return source


def told(root: Path) -> dict[str, tuple[int, object, float]]:
    """Mode, contents and time of everything, none of it followed."""
    found = {}
    for path in sorted(root.rglob("*")):
        seen = path.lstat()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (seen.st_mode & ~stat.S_ISUID, what, 0 if path.is_symlink() else seen.st_mtime)
    return found


def test_a_tree_is_copied_as_it_is_and_again_over_what_was_begun(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "deep").mkdir()
    (target / "deep" / "tool").write_text("half")
    (target / "out").write_text("half")
    for _ in range(2):
        assert small_trees.copy(tree, target, None)
        assert told(target) == told(tree)
    assert not (target / "deep" / "tool").stat().st_mode & stat.S_ISUID


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_all_of_it_is_given_to_whose_it_is_to_be(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    assert small_trees.copy(tree, target, 54321)
    assert {path.lstat().st_uid for path in target.rglob("*")} == {54321}


def test_what_is_large_or_of_another_kind_is_left_to_the_systems_own_program(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    os.link(tree / "empty", tree / "again")
    assert not small_trees.copy(tree, target, None)
    (tree / "again").unlink()
    os.mkfifo(tree / "pipe")
    assert not small_trees.copy(tree, target, None)
    (tree / "pipe").unlink()
    for name, most in (("MOST_ENTRIES", 4), ("MOST_BYTES", 3_000_000 - 1)):
        with monkeypatch.context() as patch:
            patch.setattr(small_trees, name, most)
            assert not small_trees.copy(tree, target, None)
    assert not list(target.iterdir()), "nothing is begun that is not ended"


def test_where_two_file_systems_do_not_know_each_other_the_bytes_are_carried(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> int:
        raise OSError(18, "not across")

    monkeypatch.setattr(os, "copy_file_range", refused)
    (tmp_path / "target").mkdir()
    assert small_trees.copy(tree, tmp_path / "target", None) and told(tmp_path / "target") == told(tree)
