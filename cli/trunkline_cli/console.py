"""What people see: one voice for a terminal and for a file, colours only where somebody looks."""

from __future__ import annotations

import sys

from rich.console import Console

from trunkline.contracts.errors import DomainError, Unavailable

OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 3
"""Exit codes of every command."""


def out() -> Console:
    """Standard output; plain text of any width where it is no terminal."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), no_color=not sys.stdout.isatty() or None)


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=not sys.stderr.isatty(), no_color=not sys.stderr.isatty() or None)


def complain(error: DomainError) -> int:
    """Say a refusal; returns the exit code that goes with it."""
    err().print(f"[bold red]trunkline:[/] {_plain(error.message)}")
    return UNREACHABLE if isinstance(error, Unavailable) else USAGE


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
