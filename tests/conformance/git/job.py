"""The files of one job, and traps for what must not run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from trunkline.testing.repositories import read_files
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.ports import Commit, CommitSpec, Remote

SPEC = CommitSpec("trunkline/fix-1", "Fix it\n\nTrunkline-Task: t1\n", "Trunkline <bot@example.org>", 1_700_000_000)
FILES = {"calc.py": "one\ntwo\n", "lib/deep.py": "deep\n", "run.sh": "#!/bin/sh\n", ".gitignore": "node_modules/\n"}


@dataclass
class Job:
    """One job's files: the forge's repository, our clean one, and the agent's tree."""

    forge: Path
    bare: Path
    tree: Path
    base: str
    git: GitProgram

    @property
    def remote(self) -> Remote:
        return Remote(str(self.forge))

    async def commit(self, spec: CommitSpec = SPEC) -> Commit | None:
        return await self.git.commit(self.bare, self.base, self.tree, spec)

    async def committed(self) -> dict[str, bytes]:
        made = await self.commit()
        assert made
        return read_files(self.bare, made.sha)

    def agent(self, *args: str) -> str:
        """Git as the agent runs it, in its own repository."""
        return subprocess.run(["git", *args], cwd=self.tree, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    def plant(self, setting: str, value: str) -> None:
        self.agent("config", setting, value)


def sprung(trap: Path) -> bool:
    return trap.with_name("sprung").exists()


def hook(folder: Path, name: str, trap: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).symlink_to(trap)
