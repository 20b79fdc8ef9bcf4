"""Tidies a repository: blanks at the ends of lines go, every text ends with one newline. A branch where that is allowed, else a patch.

trunkline agent tidy            # in this folder, with TRUNKLINE_TOKEN of a role agent
trunkline tasks create --type refactor --payload '{"repository": "https://git.example.org/me/notes.git", "push": true}'
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

from trunkline import Agent, Context, TaskError

GIT = ("git", "-c", "user.name=Tidy", "-c", "user.email=tidy@example.invalid", "-c", "commit.gpgsign=false")
LARGEST = 1 << 20
agent = Agent("dev_agent", at_once=4)


class Wish(BaseModel):
    repository: str = Field(pattern=r"^(https://|ssh://|file://|/)")
    """Where git finds it."""
    branch: str = Field(default="main", pattern=r"^[A-Za-z0-9][\w./-]*$")
    push: bool = False
    """Push the branch, if somebody allows it; else the patch is all that comes of it."""


class Tidied(BaseModel):
    files: int
    outcome: Literal["clean", "patch", "branch"]
    branch: str = ""


@agent.task("refactor")
async def tidy(wish: Wish, ctx: Context) -> Tidied:
    with tempfile.TemporaryDirectory(prefix="tidy-") as folder:
        ctx.progress("cloning", 0.1)
        await git("clone", "--quiet", "--depth=1", f"--branch={wish.branch}", "--", wish.repository, folder)
        changed = await asyncio.to_thread(tidied, Path(folder), (await git("-C", folder, "ls-files", "-z")).split("\0"))
        if not changed:
            return Tidied(files=0, outcome="clean")
        ctx.say("\n".join(f"tidied {name}" for name in changed))
        branch = f"tidy/{ctx.task.task_id}"
        await git("-C", folder, "checkout", "--quiet", "-b", branch)
        await git("-C", folder, "commit", "--quiet", "--all", "--message", f"Tidy {len(changed)} files")
        patch = await git("-C", folder, "format-patch", "--stdout", "-1")
        if len(patch) <= 32_000:
            ctx.artifact("tidy.patch", patch, media_type="text/x-diff")
        if not wish.push or not await ctx.approve(f"Push {branch}?", {"files": changed[:100]}):
            return Tidied(files=len(changed), outcome="patch")
        await git("-C", folder, "push", "--quiet", "origin", branch)
        return Tidied(files=len(changed), outcome="branch", branch=branch)


def tidied(folder: Path, names: list[str]) -> list[str]:
    """The files that it changed; what is large, a link or no text stays as it is."""
    changed = []
    for name in filter(None, names):
        file = folder / name
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            continue
        before = file.read_bytes()
        if b"\0" in before:
            continue
        lines = [line.rstrip(b" \t\r") for line in before.rstrip().split(b"\n")]
        after = b"\n".join(lines) + b"\n" if any(lines) else b""
        if after != before:
            file.write_bytes(after)
            changed.append(name)
    return changed


async def git(*words: str) -> str:
    """What it prints. Raises TaskError with what it complains of."""
    program = await asyncio.create_subprocess_exec(*GIT, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE)
    try:
        said, complaint = await program.communicate()
    finally:
        if program.returncode is None:  # the task is to end
            program.kill()
            await program.wait()
    if program.returncode:
        lines = complaint.decode(errors="replace").splitlines()
        why = next((line for line in lines if line.startswith(("fatal:", "error:"))), f"code {program.returncode}")
        raise TaskError(f"git {words[2] if words[0] == '-C' else words[0]}: {why}", mendable=True)
    return said.decode(errors="replace")


if __name__ == "__main__":
    agent.run()
