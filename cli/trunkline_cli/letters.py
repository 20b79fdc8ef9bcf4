"""Dead letters as the command line asks for them and shows them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.letters import LetterKind, parse_letter
from trunkline_cli.door import Door, Wish
from trunkline_cli.orchestrator import Object, pages
from trunkline_cli.plain import Plain, one_line
from trunkline_cli.shapes import Page
from trunkline_cli.tables import Cell, Column, Room, Row, span

ROOT: Final = "/dead-letters"
KINDS: Final = tuple(kind.value for kind in LetterKind)
STATES: Final = ("open", "requeued", "discarded")
STYLES: Final = {"open": "bold red", "requeued": "green", "discarded": "dim"}
LETTERS: Final = (
    Column("letter"), Column("age"), Column("kind", Room.WIDE), Column("what", Room.BELOW), Column("why", Room.BELOW), Column("state"),
)  # fmt: skip
MOST_AT_ONCE: Final = 100
MANY_WITHIN: Final = 180.0
"""Seconds: some at a time, and each handler is given its own."""


class LetterShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    letter_id: Plain
    kind: Plain = ""
    state: Plain = ""
    what: Plain = ""
    code: Plain | None = None
    why: Plain = ""
    at: datetime


class LetterList(Page):
    letters: tuple[LetterShown, ...] = ()


class ResultShown(BaseModel):
    """What came of one of many."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    letter_id: Plain
    made: Plain | None = None
    detail: Plain | None = None


class LettersDone(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    message: Plain = ""
    failed: int = 0
    results: tuple[ResultShown, ...] = ()


@dataclass(frozen=True, slots=True)
class Letters:
    """Answers are JSON objects as they came. Every call raises Unavailable, or the refusal that the gateway spoke."""

    door: Door

    async def all(self, query: Mapping[str, str], most: int) -> Object:
        return await pages(self.door, (ROOT, "letters"), query, most)

    async def one(self, letter: str) -> Object:
        """With its body. Raises NotFound."""
        return await self._ask("GET", _at(letter))

    async def requeue(self, letter: str, body: Object) -> Object:
        """Raises NotFound, Conflict, Invalid."""
        return await self._ask("POST", f"{_at(letter)}/requeue", body)

    async def requeue_many(self, body: Object) -> Object:
        """Raises Invalid."""
        return await self._ask("POST", f"{ROOT}/requeue", body, MANY_WITHIN)

    async def discard(self, letter: str, reason: str) -> Object:
        """Raises NotFound, Conflict."""
        return await self._ask("POST", f"{_at(letter)}/discard", {"reason": reason})

    async def _ask(self, method: str, path: str, body: Object | None = None, patience: float = 30.0) -> Object:
        """Every POST with a key, so that a gateway that was asked twice does it once."""
        headers = {"Idempotency-Key": uuid4().hex} if method == "POST" else {}
        answer = await self.door.ask(Wish(method, path, body, headers=headers, patience=patience))
        return answer if isinstance(answer, dict) else {}


def letter_row(letter: LetterShown, now: datetime) -> Row:
    """Pure."""
    why = f"{letter.code}: {letter.why}" if letter.code else letter.why
    return (
        Cell(letter.letter_id),
        Cell(span((now - letter.at).total_seconds())),
        Cell(letter.kind),
        Cell(one_line(letter.what)),
        Cell(one_line(why)),
        Cell(letter.state, style=STYLES.get(letter.state, "")),
    )


def add_filters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", choices=KINDS, help="only these")
    parser.add_argument("--search", metavar="TEXT", help="only those that have it in their id, in what they are, or in why")
    parser.add_argument("--since", metavar="TIME", help="only what was given up on since then, such as 2025-10-22T06:00:00Z")


def filters(args: argparse.Namespace) -> dict[str, str]:
    said = {"kind": args.kind, "q": args.search, "since": args.since}
    return {name: value for name, value in said.items() if value}


def check(letters: Sequence[str]) -> list[str]:
    """Ids as they were typed. Raises NotFound for what cannot be one: no gateway has to be asked."""
    for letter in letters:
        _at(letter)
    return list(letters)


def read_edit(place: str) -> Object:
    """An edit out of a file, or out of the standard input for `-`. Raises Invalid."""
    try:
        text = sys.stdin.read() if place == "-" else Path(place).expanduser().read_text("utf-8")
        edit = json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{place} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}.") from None
    except json.JSONDecodeError as error:
        raise Invalid(f"The edit is not JSON: {error.msg} in line {error.lineno}.") from None
    if not isinstance(edit, dict):
        raise Invalid('The edit is not a JSON object such as {"prompt": "…"}.')
    return edit


def _at(letter: str) -> str:
    if parse_letter(letter) is None:
        raise NotFound(f"There is no letter {letter!r}: `trunkline letters` lists those that there are.")
    return f"{ROOT}/{letter}"
