"""Packages from npm, installed once for each lockfile and kept beside the interpreter."""

from __future__ import annotations

import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

WORDS = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=optional", "--loglevel", "error")


def installed(package: Path, work: Path) -> Path:
    """A folder with `node_modules` as the lockfile in `package` says. Skips aloud where that cannot be."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip(f"node and npm are not on this machine: {package.name} is not tried")
    lock = (package / "package-lock.json").read_bytes()
    place = Path(sys.prefix) / "npm" / f"{package.name}-{sha256(lock).hexdigest()[:16]}"
    if place.exists():
        return place
    draft = work / "npm"
    draft.mkdir()
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(package / name, draft)
    try:
        done = subprocess.run([npm, *WORDS], cwd=draft, capture_output=True, text=True, timeout=180, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not bring what {package.name} needs within three minutes: it is not tried")
    if done.returncode:
        pytest.skip(f"npm cannot bring what {package.name} needs: it is not tried ({done.stderr[-300:]})")
    return _kept(draft, place)


def _kept(draft: Path, place: Path) -> Path:
    """Another test may have been first."""
    place.parent.mkdir(exist_ok=True)
    try:
        shutil.move(draft, place)
    except OSError:
        if not place.exists():
            raise
    return place
