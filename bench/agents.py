"""The real Claude Code of this machine for the bench: found, run bare, and run by Trunkline with the same script for its model."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from bench.models import KEY
from bench.person import SIGNED, person
from bench.watching import REPO, SAMPLE, Job, Seen, real_stack, submit
from trunkline.contracts.errors import Invalid
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import Stack
from trunkline_sandbox.adapters.agents.claude_binary import find_claude
from trunkline_sandbox.adapters.agents.claude_control import user_line
from trunkline_sandbox.adapters.agents.claude_options import ClaudeOptions, arguments
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.model import AgentTask
from trunkline_sandbox.ports import Remote

PROMPT: Final = "Write the answer."
NOT_MEASURED: Final = "NOT MEASURED: no Claude Code was found; `make agents` brings it, or set TRUNKLINE_TEST_CLAUDE to it"
SECONDS: Final = 120.0
_LOOK_S: Final = 0.05
_ENDS: Final = ("result", "error")
_QUIET: Final = {
    "CLAUDE_CODE_EMIT_SESSION_STATE_EVENTS": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
}


def claude() -> Path | None:
    configured = os.environ.get("TRUNKLINE_TEST_CLAUDE")
    try:
        return find_claude(Path(configured) if configured else None)
    except Invalid:
        return None


def bare(program: Path, model: str) -> float:
    """Milliseconds from its start to its exit, told to end as soon as it says that its turn is over. Raises RuntimeError when it failed.

    Its home is fresh and its workspace the same clone as in a task: in a repository it calls git some twenty times.
    """
    with tempfile.TemporaryDirectory(prefix="tlb-") as folder:
        home, workspace = Path(folder) / "home", Path(folder) / "workspace"
        home.mkdir()
        asyncio.run(_clone(Path(folder), workspace))
        argv = [str(program), *arguments(ClaudeOptions(), AgentTask(PROMPT), str(uuid.uuid4()))]
        began = time.perf_counter()
        with subprocess.Popen(argv, cwd=workspace, env=_environment(home, model), stdin=-1, stdout=-1, stderr=subprocess.DEVNULL) as child:
            _speak(child)
        took = (time.perf_counter() - began) * 1000
        if child.returncode or (workspace / "answer.txt").read_text() != "42\n":
            raise RuntimeError(f"Claude Code, bare, ended with {child.returncode} and did not do what it was told")
    return took


async def _clone(folder: Path, workspace: Path) -> None:
    git, bare = GitProgram(), folder / "clean.git"
    commit = await git.fetch(Remote(str(make_bare(folder, REPO, SAMPLE))), "main", bare)
    await git.checkout(bare, commit, workspace)


def _environment(home: Path, model: str) -> dict[str, str]:
    mine = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "IS_SANDBOX": "1"}
    return {**mine, **_QUIET, "ANTHROPIC_BASE_URL": model, "ANTHROPIC_API_KEY": KEY}


def _speak(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin and child.stdout
    child.stdin.write(user_line(PROMPT, "bench"))
    child.stdin.flush()
    for line in child.stdout:
        if b'"type":"result"' in line:
            child.stdin.close()


@contextmanager
def with_claude(program: Path, model: str, **more: str) -> Iterator[Stack]:
    """The whole product with it as its agent."""
    told = {"TRUNKLINE_CLAUDE_PATH": str(program), "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": model}
    with real_stack("true", **{"TRUNKLINE_AGENT": "claude", **SIGNED, **told, **more}) as running:
        yield running


def moments(running: Stack, job: Job) -> Mapping[str, datetime]:
    """When each kind of event was first decided, by its name; that of a phase by `run.phase <phase>`."""
    with person(running, "agent") as agent:
        status, page = agent.ask("GET", f"/tasks/{job.path.split('/')[3]}/events?limit=1000")
    if status != 200:
        raise RuntimeError(f"the events were answered with {status}: {page}")
    found: dict[str, datetime] = {}
    for one in page["events"]:
        found.setdefault(_name(one), datetime.fromisoformat(one["timestamp"]))
    return found


def _name(one: Mapping[str, Any]) -> str:
    phase = one["payload"].get("phase") if isinstance(one.get("payload"), dict) else None
    return f"{one['event_type']} {phase}" if phase else str(one["event_type"])


def done(job: Job) -> Seen:
    """Its end, which is waited for at leisure: the looks of `Job.until` are so many that they slow down what is measured."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and not (job.seen and job.seen[-1].data["type"] in _ENDS):
        time.sleep(_LOOK_S)
    return job.result(1.0)


def asked(running: Stack) -> Job:
    return submit(running, PROMPT)
