"""Writes requirements/*.txt: every package by name, version and hash, and no address of any host."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "requirements"
QUIET = ("--no-header", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-emit-options", "--no-annotate")
HEADER = "# Written by `make lock` from pyproject.toml. Names, versions and hashes only; pip finds the files where it is told to look.\n"


def wishes() -> dict[str, list[str]]:
    """What each file is to hold, as pyproject.toml asks for it; `dev` is everything, so it is resolved first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    run = project["project"]["dependencies"]
    build = [*project["build-system"]["requires"], "editables"]
    extras = {name: [*run, *wanted] for name, wanted in project["project"]["optional-dependencies"].items()}
    return {"dev": [*run, *build, *project["dependency-groups"]["dev"]], "run": run, "build": build, **extras}


def pins(text: str) -> str:
    """The `name==version` lines of a lock, without hashes, to hold the next one to the same versions."""
    return "\n".join(re.findall(r"^[A-Za-z0-9._-]+==[^\s;\\]+", text, re.MULTILINE))


def compile_lock(wanted: list[str], held: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, constraints, out = (Path(folder) / name for name in ("in.in", "held.txt", "out.txt"))
        source.write_text("\n".join(wanted) + "\n")
        constraints.write_text(held)
        options = ("--quiet", "--generate-hashes", "--strip-extras", "--allow-unsafe", "--no-config", *QUIET)
        command = [sys.executable, "-m", "piptools", "compile", *options, "-c", str(constraints), "-o", str(out), str(source)]
        subprocess.run(command, check=True, cwd=folder, env={**os.environ, "CUSTOM_COMPILE_COMMAND": "make lock"})
        return HEADER + out.read_text()


def alone() -> dict[str, list[str]]:
    """What is tried against us and installed by itself, without what it asks for: what that is, `dev` holds already."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return {name: wanted for name, wanted in groups.items() if name != "dev"}


def lock_alone(wanted: list[str]) -> str:
    """Each by the hash of the file that fits this machine."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, *wanted], check=True)
        found = {
            path.name.split("-")[0].replace("_", "-"): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(Path(folder).iterdir())
        }
    return HEADER + "".join(f"{wish} \\\n    --hash=sha256:{found[wish.partition('==')[0]]}\n" for wish in wanted)


def kept() -> str:
    """The versions in force; `--upgrade` lets go of them."""
    lock = OUT / "dev.txt"
    return "" if "--upgrade" in sys.argv or not lock.exists() else pins(lock.read_text())


def main() -> int:
    OUT.mkdir(exist_ok=True)
    held = kept()
    for name, wanted in wishes().items():
        print(f"lock: resolving requirements/{name}.txt …", flush=True)
        text = compile_lock(wanted, held)
        if "://" in text:
            print(f"lock: requirements/{name}.txt would name an address; not written", file=sys.stderr)
            return 1
        (OUT / f"{name}.txt").write_text(text)
        print(f"lock: requirements/{name}.txt holds {len(pins(text).splitlines())} packages")
        held = pins((OUT / "dev.txt").read_text())
    for name, wanted in alone().items():
        (OUT / f"{name}.txt").write_text(lock_alone(wanted))
        print(f"lock: requirements/{name}.txt holds {len(wanted)} packages, by themselves")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
