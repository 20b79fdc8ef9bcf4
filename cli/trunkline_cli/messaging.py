"""Messages to an agent as people see and give them: as rows of a table, and as the words said or piped in."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict

from trunkline.contracts.errors import Invalid
from trunkline.contracts.steering import MOST_TEXT
from trunkline_cli.asking import add_json
from trunkline_cli.plain import Plain, one_line
from trunkline_cli.tables import Cell, Column, Room, Row, span

STDIN: Final = "-"
MOST_SHOWN: Final = 200
"""Characters of a message in a table; `--json` has all of it."""
STYLES: Final = {"queued": "yellow", "delivered": "cyan", "taken": "green", "withdrawn": "dim"}
COLUMNS: Final = (
    Column("message"), Column("state"), Column("text", Room.BELOW), Column("by", Room.WIDE), Column("age"), Column("edits", Room.WIDE),
)  # fmt: skip


class MessageShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    message_id: Plain
    text: Plain = ""
    by: Plain = ""
    state: Plain = ""
    edits: int = 0
    queued_at: datetime

    @property
    def waits(self) -> bool:
        return self.state in ("queued", "delivered")


class QueueShown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    messages: tuple[MessageShown, ...] = ()
    paused: bool = False
    closed: bool = False


def row(message: MessageShown, now: datetime) -> Row:
    """Pure."""
    text = one_line(message.text)
    return (
        Cell(message.message_id),
        Cell(message.state, style=STYLES.get(message.state, "")),
        Cell(text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"),
        Cell(one_line(message.by)),
        Cell(span((now - message.queued_at).total_seconds())),
        Cell(str(message.edits)),
    )


def moved(queue: QueueShown, message: str, place: str) -> list[str]:
    """The ids of what waits, with one of them at `place`: first, last, or a number from 1. Pure. Raises Invalid."""
    waiting = [one.message_id for one in queue.messages if one.waits]
    if message not in waiting:
        raise Invalid(f"The message {message!r} does not wait: it is unknown, withdrawn, or the agent has it.")
    others = [id for id in waiting if id != message]
    index = {"first": 0, "last": len(others)}.get(place)
    if index is None:
        if not place.isdecimal() or not 1 <= int(place) <= len(waiting):
            raise Invalid(f"There is no place {place!r}: say first, last, or a number from 1 to {len(waiting)}.")
        index = int(place) - 1
    return [*others[:index], message, *others[index:]]


def text_of(word: str) -> str:
    """The word itself, or what standard input says where the word is `-`. Raises Invalid."""
    if word != STDIN:
        return word
    try:
        return sys.stdin.buffer.read(MOST_TEXT + 1).decode()
    except UnicodeDecodeError:
        raise Invalid(f"Standard input is no text in UTF-8 of at most {MOST_TEXT} bytes.") from None


def add_message(parser: argparse.ArgumentParser) -> None:
    """One message of one task, and how the answer is printed."""
    parser.add_argument("task", metavar="TASK", help="as `trunkline run` and `trunkline tasks` print it")
    parser.add_argument("message", metavar="MESSAGE", help="as `trunkline messages` lists it")
    add_json(parser)
