"""What people see: one voice for a terminal and for a file, colours only where somebody looks."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from pydantic import JsonValue
from rich.console import Console
from rich.markup import escape

from trunkline.contracts.errors import DomainError, Unavailable
from trunkline_cli.plain import plain

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes of every command: done; it is there and came out otherwise; refused; nobody answers. Of several things the highest counts."""
COMPLAINT = "trunkline:"


def out() -> Console:
    """Standard output; plain text of any width where it is no terminal."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), no_color=not sys.stdout.isatty() or None)


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty(), no_color=not sys.stderr.isatty() or None)


def program() -> str:
    """How `trunkline` is called from here: by its name where it is on the path, else by its place."""
    if shutil.which("trunkline"):
        return "trunkline"
    place = Path(sys.executable).with_name("trunkline")
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)


def complain(error: DomainError) -> int:
    """Say a refusal; returns the exit code that goes with it."""
    err().print(f"[bold red]{COMPLAINT}[/] {escape(plain(error.message))}")
    return code_of(error)


def code_of(error: DomainError) -> int:
    """The exit code of a refusal: what may go well later is told apart. Pure."""
    return UNREACHABLE if isinstance(error, Unavailable) or "retry_after" in error.details else USAGE


def print_json(value: JsonValue, *, line: bool = False) -> None:
    """Exactly one JSON document on standard output; in ASCII, so that nothing in it drives a terminal."""
    print(json.dumps(value) if line else json.dumps(value, indent=2), flush=True)
