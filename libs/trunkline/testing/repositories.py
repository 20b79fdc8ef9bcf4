"""Small bare repositories for tests and the demo, made with real git and the same down to the commit ids."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

Files = Mapping[str, str | bytes]


def make_bare(root: Path, repo: str, files: Files, branch: str = "main") -> Path:
    """Make `root/owner/name.git` with one commit of `files` on `branch`; without files it stays empty. Raises FileExistsError.

    Files that begin with `#!` are executable.
    """
    bare = root / f"{repo}.git"
    bare.mkdir(parents=True)
    git(bare, "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
    if files:
        add_commit(bare, files, branch)
    return bare


def add_commit(bare: Path, files: Files, branch: str = "main", message: str = "Change things") -> str:
    """Add or replace `files` in one more commit on `branch`, made when missing; returns the commit."""
    known = git(bare, "for-each-ref", f"refs/heads/{branch}")
    header = f"commit refs/heads/{branch}\ncommitter Sample <sample@trunkline.invalid> 1700000000 +0000\n".encode()
    start = f"from refs/heads/{branch}^0\n".encode() if known else b""
    changes = b"".join(_change(path, content) for path, content in sorted(files.items()))
    git(bare, "fast-import", "--quiet", stdin=header + _counted(message.encode()) + start + changes)
    return tip(bare, branch)


def tip(bare: Path, branch: str = "main") -> str:
    """The commit at the end of a branch. Raises CalledProcessError when there is none."""
    return git(bare, "rev-parse", "--verify", f"refs/heads/{branch}")


def branches(bare: Path) -> dict[str, str]:
    """Commit by branch."""
    lines = git(bare, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
    return dict(line.rsplit(" ", 1) for line in lines)


def read_files(bare: Path, commit: str = "main") -> dict[str, bytes]:
    """Content by path of a commit; that of a symlink is its target."""
    names = [name for name in _run(bare, ("ls-tree", "-r", "-z", "--name-only", commit)).decode().split("\0") if name]
    return {name: _run(bare, ("show", f"{commit}:{name}")) for name in names}


def git(bare: Path, *args: str, stdin: bytes = b"") -> str:
    """What a git command in `bare` prints. Raises CalledProcessError."""
    return _run(bare, args, stdin).decode("utf-8", "replace").strip()


def _run(bare: Path, args: tuple[str, ...], stdin: bytes = b"") -> bytes:
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "LC_ALL": "C"}
    quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_DIR": str(bare)}
    done = subprocess.run(("git", *args), input=stdin, env=env | quiet, capture_output=True, check=True, timeout=60)
    return done.stdout


def _change(path: str, content: str | bytes) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    mode = "100755" if data.startswith(b"#!") else "100644"
    return f"M {mode} inline {path}\n".encode() + _counted(data)


def _counted(data: bytes) -> bytes:
    return f"data {len(data)}\n".encode() + data + b"\n"
