"""What agents that call home ask people, at a terminal: the question is shown exactly, and whoever sits there is asked for the answer."""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from typing import Final

from rich.markup import escape

from trunkline.contracts.errors import Invalid
from trunkline_cli.console import err
from trunkline_cli.door import opened
from trunkline_cli.exact import exact_text
from trunkline_cli.messaging import text_of
from trunkline_cli.orchestrator import Object, Orchestrator

_QUESTION: Final = re.compile(r"approval_[0-9A-Fa-f]{32}_q[0-9a-f]{32}")
NO_ANSWER: Final = "The agent asked for words: say --answer 'what it is to do', or reject it with a reason."


def add_answer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--answer", metavar="TEXT|-", help="what an agent is told that asked for input; - takes it from standard input")


def answer(args: argparse.Namespace) -> str | None:
    """What was said, or what is typed now where one question is decided and somebody sits there. Raises Invalid, NotFound, Unavailable."""
    if args.answer is not None:
        return _words(text_of(args.answer))
    if len(set(args.approvals)) > 1 or not _QUESTION.fullmatch(args.approvals[0]) or not _somebody_sits_there():
        return None
    question = asyncio.run(_question(args))
    return _words(_typed(question)) if question is not None else None


async def _question(args: argparse.Namespace) -> str | None:
    """None: it wants no words, or no longer."""
    async with opened(args) as door:
        shown = (await Orchestrator(door).approval(args.approvals[0])).get("approval")
    approval: Object = shown if isinstance(shown, dict) else {}
    if (approval.get("kind"), approval.get("status")) != ("input", "pending"):
        return None
    about = approval.get("about")
    asked = about.get("question") if isinstance(about, dict) else None
    return str(asked or approval.get("subject") or "")


def _typed(question: str) -> str:
    for line in question.splitlines():
        err().print(f"[bold]{escape(exact_text(line))}[/]")
    try:
        return input("Answer: ")
    except EOFError:
        return ""


def _words(said: str) -> str:
    if not said.strip():
        raise Invalid(NO_ANSWER)
    return said


def _somebody_sits_there() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()
