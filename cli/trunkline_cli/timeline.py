"""A task as people watch it: one line per event with the time since its beginning, and a spinner where somebody looks."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from trunkline_cli.api import StreamEvent
from trunkline_cli.plain import one_line

WIDTH: Final = 100
BAR: Final = 24
PHASES: Final = ("sandbox", "clone", "agent", "push", "pr")
DOING: Final = {
    "sandbox": "making a sandbox",
    "clone": "cloning the repository",
    "agent": "the agent is working",
    "push": "pushing the branch",
    "pr": "opening the pull request",
}


class Happening(Protocol):
    """An event of any stream."""

    @property
    def timestamp(self) -> datetime: ...


E = TypeVar("E", bound=Happening)


@dataclass(frozen=True, slots=True)
class Told:
    """One event in words: who, what, and how it is to look."""

    label: str
    text: str
    style: str = ""
    doing: str = ""
    """What goes on from here, for the spinner; empty: the same as before."""


def tell(event: StreamEvent) -> Told:
    """Pure: what an event of a job means to a person."""
    match event.type:
        case "status":
            return tell_phase(event.phase, event.message) if event.phase else Told(event.status, event.message)
        case "agent":
            return tell_agent(event.eventType, f"{event.tool} {event.display}", event.output or event.display, event.isError)
        case "result" if event.result and event.result.prNumber:
            return Told("done", f"pull request #{event.result.prNumber}: {event.result.prUrl}", "bold green")
        case "error":
            return Told("failed", event.error, "bold red")
        case _:
            return Told(event.type, event.message)


def tell_phase(phase: str, message: str) -> Told:
    return Told(phase, message, "bold", DOING.get(phase, ""))


def tell_agent(kind: str, call: str, output: str, is_error: bool) -> Told:
    """What an agent did or said: a call is shown as it is, an output by its end."""
    match kind:
        case "tool_call":
            return Told("", f"> {call.strip()}", "cyan")
        case "tool_result":
            return Told("", f"  {brief(output)}", "red" if is_error else "dim")
        case "thinking":
            return Told("", f"~ {brief(output)}", "italic dim")
        case _:
            return Told("", brief(output))


def brief(text: str) -> str:
    """The last line that says something, as the end of an output tells how it went; says how many came before."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "(nothing)"
    shown = lines[-1] if len(lines[-1]) <= WIDTH else lines[-1][: WIDTH - 1] + "…"
    return shown if len(lines) == 1 else f"{shown}  (+{len(lines) - 1} lines)"


async def show(events: AsyncIterable[E], console: Console, tell: Callable[[E], Told | None]) -> list[E]:
    """Print events as they come until the last, those of which there is something to tell; returns them all."""
    seen, began = list[E](), None
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        spinner = progress.add_task("waiting for its turn")
        async for event in events:
            seen.append(event)
            began = min(began or event.timestamp, event.timestamp)  # a gap is told of now, and what follows it happened before
            if told := tell(event):
                progress.update(spinner, description=escape(told.doing) or progress.tasks[0].description, refresh=True)
                console.print(line(told, (event.timestamp - began).total_seconds()))
    return seen


def line(told: Told, seconds: float) -> str:
    """One line of markup, whatever was told."""
    text = escape(one_line(told.text) if "\n" in told.text else told.text)
    styled = f"[{told.style}]{text}[/]" if told.style else text
    return f"[dim]{seconds:6.2f} s[/]  {escape(one_line(told.label)):<8} {styled}"


@dataclass(frozen=True, slots=True)
class Took:
    """How long a phase took, in seconds."""

    phase: str
    seconds: float


def durations(events: Iterable[StreamEvent]) -> list[Took]:
    """Pure: each phase from its first event to the next phase's first; the wait before the first is `queue`."""
    events = list(events)
    if not events:
        return []
    marks = [("queue", events[0].timestamp)]
    for event in events:
        if event.phase in PHASES and event.phase not in {name for name, _ in marks}:
            marks.append((event.phase, event.timestamp))
    ends = [at for _, at in marks[1:]] + [events[-1].timestamp]
    return [Took(name, (end - at).total_seconds()) for (name, at), end in zip(marks, ends, strict=True)]


def bars(took: Iterable[Took], console: Console) -> list[str]:
    """One line per phase with a bar as long as its share of the longest."""
    took = list(took)
    longest = max((each.seconds for each in took), default=0) or 1
    block = "█" if console.encoding.lower().startswith("utf") else "#"
    return [f"  {each.phase:<9}{each.seconds:7.3f} s  [cyan]{block * max(1, round(BAR * each.seconds / longest))}[/]" for each in took]
