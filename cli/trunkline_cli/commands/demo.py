"""Watches one real task go all the way, in a temporary place: a repository with a failing test, an agent, a pull request."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax

from trunkline.contracts.errors import Broken, DomainError, Invalid, Unsupported
from trunkline_cli import children, sample
from trunkline_cli.api import Api, Job, Result, StreamEvent
from trunkline_cli.console import FAILED, OK, complain, out, program
from trunkline_cli.door import entered
from trunkline_cli.health import is_healthy, until_shown
from trunkline_cli.plain import one_line, plain
from trunkline_cli.sockets import LOOPBACK, base_url, free_port
from trunkline_cli.timeline import bars, durations, show, tell

READY: Final = 60.0
LONGEST: Final = 900.0
"""Seconds until the demo gives up on its task; a real model may need some minutes."""
STOP: Final = 6.0
NEXT: Final = (
    ("up", "the same, to stay"),
    ("demo --agent claude", "a real model (needs ANTHROPIC_API_KEY)"),
    ('run OWNER/REPO "fix the login bug"', "with `up` running: a repository of your own, below its forge_root"),
    ("doctor", "what this machine has and lacks"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where this demo lives."""

    folder: Path
    url: str
    console: Console

    @property
    def log(self) -> Path:
        return self.folder / "up.log"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--agent", choices=("command", "claude"), default="command", help="a sample script, or Claude Code with your key")
    parser.add_argument("--unsafe-local", action="store_true", help="run the agent WITHOUT isolation, where nothing can isolate it")
    parser.add_argument("--keep", action="store_true", help="leave the temporary place as it is, and say where it is")


def run(args: argparse.Namespace) -> int:
    if args.agent == "claude" and not os.environ.get("ANTHROPIC_API_KEY"):
        raise Invalid("--agent claude needs a key: set ANTHROPIC_API_KEY. Without one, `trunkline demo` uses a sample script.")
    if not shutil.which("git"):
        raise Unsupported("git was not found. Install it (Debian, Ubuntu: `apt-get install git`).", code="NO_GIT")
    folder = Path(tempfile.mkdtemp(prefix="trunkline-demo-"))
    place = Place(folder, base_url(LOOPBACK, free_port()), out())
    try:
        return asyncio.run(_demo(args, place))
    except DomainError as error:
        return complain(error) and FAILED
    finally:
        _clean_up(args.keep, place)


async def _demo(args: argparse.Namespace, place: Place) -> int:
    say = place.console.print
    _introduce(args.agent, place.console)
    bare = sample.make(place.folder / "forge")
    say(f"[bold]1[/] A sample repository with a failing test: [cyan]{sample.REPO}[/] (a bare repository at {bare})")
    began = time.monotonic()
    async with _stack(args, place):
        say(f"[bold]2[/] Trunkline is ready at [cyan]{place.url}[/] ({time.monotonic() - began:.1f} s)")
        say(f"[bold]3[/] POST /api/pr-agent/execute: [italic]{escape(sample.TASK)}[/]\n")
        events = await _watch(place)
        await _visit(events, place.console)
    return _conclude(bare, events, place.console)


async def _watch(place: Place) -> list[StreamEvent]:
    try:
        async with asyncio.timeout(LONGEST), entered(place.url) as door:
            job = Job.model_validate(await Api(door).execute({"repo": sample.REPO, "task": sample.TASK, "branch": "main"}))
            return await show(Api(door).follow(job.jobId), place.console, tell)
    except TimeoutError:
        raise Broken(f"The task was not over after {LONGEST:.0f} s.") from None


async def _visit(events: list[StreamEvent], console: Console) -> None:
    """Look at the page of the pull request while the gateway that shows it is there."""
    result = events[-1].result if events else None
    if result:
        await until_shown(result.prUrl)
        console.print(f"\n[bold]The pull request[/]: #{result.prNumber} {escape(one_line(result.prUrl))} (its page answers)")


def _introduce(agent: str, console: Console) -> None:
    if agent == "claude":
        console.print("This demo runs [bold]Claude Code[/] with your key, in a sandbox, on a small sample repository.\n")
        return
    console.print("This demo runs the agent [bold]command[/] with a sample script, not a model. This is all of the script:\n")
    script = sample.AGENT.read_text("utf-8").rstrip()
    console.print(Syntax(script, "python", background_color="default") if console.is_terminal else script, markup=console.is_terminal)
    console.print()


@asynccontextmanager
async def _stack(args: argparse.Namespace, place: Place) -> AsyncIterator[None]:
    """`trunkline up` as a child; ready when entered, gone when left."""
    port = place.url.rpartition(":")[2]
    words = ["up", "--port", port, "--data-dir", str(place.folder / "data"), *(["--unsafe-local"] if args.unsafe_local else [])]
    with place.log.open("wb") as log:
        process = await children.spawn([sys.executable, "-m", "trunkline_cli", *words], _environment(args.agent, place), out=log.fileno())
    try:
        with place.console.status("starting nats-server and five services"):
            await _until_ready(process, place)
        yield
    finally:
        await children.end(process, STOP)


def _environment(agent: str, place: Place) -> dict[str, str]:
    """Nothing of the user's own settings: the demo is the same everywhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRUNKLINE_", "ORCHESTRATOR_"))}
    command = {"TRUNKLINE_AGENT_COMMAND": sample.agent_command()} if agent == "command" else {}
    forge = {"TRUNKLINE_FORGE": "local", "TRUNKLINE_FORGE_ROOT": str(place.folder / "forge")}
    config = place.folder / "trunkline.toml"
    config.touch()
    return {**kept, **command, **forge, "TRUNKLINE_AGENT": agent, "TRUNKLINE_CONFIG": str(config)}


async def _until_ready(process: asyncio.subprocess.Process, place: Place) -> None:
    deadline = time.monotonic() + READY
    while not await is_healthy(place.url):
        if process.returncode is not None or time.monotonic() > deadline:
            raise Broken(f"Trunkline did not start. It said:\n{place.log.read_text(errors='replace').strip()[-3000:]}")
        await asyncio.sleep(0.05)


def _conclude(bare: Path, events: list[StreamEvent], console: Console) -> int:
    result = events[-1].result if events else None
    if result is None:
        raise Broken("The task did not end in a pull request; its last line above says why.")
    _show_change(bare, result, console)
    mended = sample.passes(bare, result.fixBranch) and not sample.passes(bare, "main")
    console.print("[bold]The tests of the sample[/]: fail on main, pass on the branch." if mended else "[red]The tests still fail.[/]")
    console.print("\n[bold]How long each phase took[/]")
    for line in bars(durations(events), console):
        console.print(line)
    _what_next(console)
    return OK if mended else FAILED


def _show_change(bare: Path, result: Result, console: Console) -> None:
    console.print(
        f"  branch {escape(one_line(result.fixBranch))}, {result.filesChanged} file(s), +{result.additions} -{result.deletions}\n"
    )
    change = plain(sample.diff(bare, result.fixBranch))
    console.print(Syntax(change, "diff", background_color="default") if console.is_terminal else change, markup=False)


def _what_next(console: Console) -> None:
    name = program()
    console.print("\n[bold]What to try next[/]")
    for words, text in NEXT:
        console.print(f"  {escape(f'{name} {words}'):<{len(name) + 38}}{text}")


def _clean_up(keep: bool, place: Place) -> None:
    if keep:
        place.console.print(f"\nKept: {place.folder}")
        return
    shutil.rmtree(place.folder, ignore_errors=True)
    left = "could not be removed whole" if place.folder.exists() else "is removed; nothing runs any more"
    place.console.print(f"\nThe temporary place {place.folder} {left}.")
