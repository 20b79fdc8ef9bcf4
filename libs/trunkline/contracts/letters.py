"""Dead letters: what was given up on, of whatever kind, and what somebody did about it. Owned by the relay."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final, Literal, NamedTuple

from pydantic import Field, JsonValue

from trunkline.contracts.ids import TaskId, Token
from trunkline.contracts.message import Command, JsonObject, Message
from trunkline.contracts.task import Priority

SERVICE: Final = "relay"
MOST_PAGE: Final = 100
MOST_REASON: Final = 1000
MOST_SOUGHT: Final = 200
_TOKEN: Final = r"[A-Za-z0-9_-]{1,64}"
NAME: Final = rf"^(?:(?:task|trigger)\.{_TOKEN}|webhook\.{_TOKEN}\.{_TOKEN}|message\.{_TOKEN}\.[0-9]{{1,20}})$"
_NAME: Final = re.compile(NAME)


class LetterKind(StrEnum):
    TASK = "task"
    """A task that failed for good."""
    TRIGGER = "trigger"
    """What was to begin a task, or its work elsewhere, and never did: a workflow, a moment of a schedule."""
    WEBHOOK = "webhook"
    """What no subscriber took."""
    MESSAGE = "message"
    """What no handler could take."""


class LetterState(StrEnum):
    OPEN = "open"
    REQUEUED = "requeued"
    DISCARDED = "discarded"


class LetterName(NamedTuple):
    """The parts of a letter's id."""

    kind: LetterKind
    first: str
    second: str = ""

    def __str__(self) -> str:
        return ".".join(part for part in self if part)


def parse_letter(text: str) -> LetterName | None:
    """None: no letter can be called so."""
    if not _NAME.fullmatch(text):
        return None
    kind, first, *rest = text.split(".")
    return LetterName(LetterKind(kind), first, *rest)


def desk_token(name: LetterName) -> str:
    """By what the records about a letter are found: one token, however long the names in it."""
    plain = name.second if name.kind is LetterKind.WEBHOOK else "_".join(part for part in name[1:] if part)
    return plain if len(plain) <= 64 else sha256(plain.encode()).hexdigest()[:32]


def task_of(tenant: str, letter: str, count: int) -> TaskId:
    """The task that a letter is requeued as, the `count`-th time: whoever makes it a second time makes the same."""
    return TaskId(sha256(f"letter/{tenant}/{letter}/{count}".encode()).hexdigest()[:32])


class LetterEdit(Message):
    """What is to be otherwise when it is tried again; None stays. Of tasks all but `body`, of messages `body` alone."""

    payload: JsonObject | None = None
    prompt: str | None = None
    priority: Priority | None = None
    metadata: JsonObject | None = None
    body: JsonObject | None = None
    repo: str | None = None
    """This and what follows nobody names: it came out of payload or metadata at the door, and comes out of the edited ones."""
    branch: str | None = None
    max_retries: int | None = Field(default=None, ge=0, le=10)
    parent: Token | None = None


class LetterHandled(Message):
    """What somebody did about a letter, as it lies in the stream: the newest record says how it stands."""

    letter: str
    state: LetterState
    count: int = 0
    """How often it was requeued, this time included."""
    wish: str
    """By which a repeat is known."""
    by: str
    at: datetime
    reason: str = ""
    edit: LetterEdit | None = None
    done: bool = False
    """Whether it was carried out; until then whoever reads it sees to that."""
    made: str = ""
    """What came of it, as a task's id."""
    problem: str = ""
    """Why nothing came of it: the letter is open again."""


class LetterView(Message):
    """A letter as a reader sees it. In a list without its body."""

    id: str
    kind: LetterKind
    tenant: str
    state: LetterState = LetterState.OPEN
    what: str
    """In a few words: the type of the task, the workflow's repository, the event, the consumer that could not take it."""
    code: str = ""
    why: str
    tries: int
    at: datetime
    """When it was given up on."""
    task_id: str | None = None
    handled: LetterHandled | None = None
    body: JsonValue = None
    editable: tuple[str, ...] = ()
    """The fields of an edit that it knows."""


class LetterPage(Message):
    """What was given up on last comes first."""

    letters: tuple[LetterView, ...]
    next: str | None = None
    total: int | None = None
    """All that matched when the first page was read; None where too many would have to be looked at one by one."""


class ListLetters(Command):
    """A page of what was given up on. What is left empty does not filter."""

    type: Literal["list_letters"] = "list_letters"
    kinds: tuple[LetterKind, ...] = ()
    state: LetterState | None = None
    q: str = Field(default="", max_length=MOST_SOUGHT)
    """Stands in the id, in what it is, or in why, in any case."""
    since: datetime | None = None
    limit: int = 20
    after: str | None = None
    """`next` of the page before."""


class GetLetter(Command):
    """Read one, whole."""

    type: Literal["get_letter"] = "get_letter"
    letter: str


class RequeueLetter(Command):
    """Have it tried once more. The same `wish` again does nothing more, and answers the same."""

    type: Literal["requeue_letter"] = "requeue_letter"
    letter: str
    by: str
    wish: Token
    edit: LetterEdit | None = None


class DiscardLetter(Command):
    """Nothing more is to be done about it. It may still be requeued."""

    type: Literal["discard_letter"] = "discard_letter"
    letter: str
    by: str
    wish: Token
    reason: str = Field(default="", max_length=MOST_REASON)


class Redo(Command):
    """Take a message once more that was given up on: a fact is worked on at once; of a timer it is said whether it can be read."""

    type: Literal["redo"] = "redo"
    consumer: Token
    seq: int
    body: str = ""
    """Of a timer: base64."""
