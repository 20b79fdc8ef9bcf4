"""Agents that call home as the command line uses them: starting one in a repository's workflow, reading its conversation, answering it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from trunkline_cli.api import JOB
from trunkline_cli.door import Door, Wish
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import Plain, one_line
from trunkline_cli.tables import Cell, Column, Room, Row, span

ROOT: Final = "/api/v1"
MOST: Final = 200
"""Messages of a conversation that are asked for at once; no gateway gives more, and fewer where they are long."""
MOST_PAGES: Final = 500
"""However long they are: long ones come few at a time."""
MOST_SHOWN: Final = 400
"""Characters of a message in a table; `--json` has all of it."""
STYLES: Final = {"agent": "cyan", "asks": "bold yellow", "user": "green"}
COLUMNS: Final = (Column("message", Room.WIDE), Column("who"), Column("text"), Column("age"))


class Spoken(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Plain
    content: Plain = ""
    sender_type: Plain = ""
    requires_user_input: bool = False
    created_at: datetime

    @property
    def who(self) -> str:
        if self.sender_type != "AGENT":
            return "user"
        return "asks" if self.requires_user_input else "agent"


class Instance(BaseModel):
    """An agent elsewhere, with its conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Plain
    status: Plain = ""
    agent_type: Plain = Field("", alias="agent_type_name")
    git_diff: Plain | None = None
    messages: tuple[Spoken, ...] = ()

    @property
    def told(self) -> str:
        """How it stands, in a line."""
        return one_line(f"{self.agent_type or 'The agent'}: {self.status}")


class Dispatched(BaseModel):
    """What became of a dispatch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    agent_instance_id: Plain
    task_id: Plain = ""
    message: Plain = ""
    approval_id: Plain | None = None


@dataclass(frozen=True, slots=True)
class Instances:
    """Answers are JSON objects as they came. Every call raises Unavailable, or the refusal that the gateway spoke."""

    door: Door

    async def one(self, id: str) -> Object:
        """With its whole conversation. Raises NotFound."""
        found = await self._page(id)
        spoken = _messages(found)
        for _ in range(MOST_PAGES if spoken else 0):
            older = _messages(await self._page(id, before_message_id=str(spoken[0].get("id"))))
            if not older or older[0] == spoken[0]:
                break
            spoken = [*older, *spoken]
        return {**found, "messages": [*spoken]}

    async def _page(self, id: str, **more: str) -> Object:
        query = {"message_limit": str(MOST), **more}
        return _object(await self.door.ask(Wish("GET", f"{ROOT}/agent-instances/{quote(instance_id(id), safe='')}", query=query)))

    async def dispatch(self, body: Object) -> Object:
        """Start a workflow. Raises Invalid."""
        return await self._post("/github/dispatches", body)

    async def reply(self, id: str, text: str) -> Object:
        """Tell its agent something, which answers what it asked. Raises NotFound, Invalid."""
        return await self._post("/messages/user", {"agent_instance_id": instance_id(id), "content": text, "mark_as_read": False})

    async def _post(self, path: str, body: Object) -> Object:
        """With a key, so that a gateway that was asked twice does it once."""
        headers: Mapping[str, str] = {"Idempotency-Key": uuid4().hex}
        return _object(await self.door.ask(Wish("POST", f"{ROOT}{path}", body, headers=headers)))


def row(message: Spoken, now: datetime) -> Row:
    """Pure."""
    text = one_line(message.content)
    return (
        Cell(message.id),
        Cell(message.who, style=STYLES[message.who]),
        Cell(text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"),
        Cell(span((now - message.created_at).total_seconds())),
    )


def instance_id(text: str) -> str:
    """An instance as it was typed: its UUID, the id of its task as any surface prints it, or the text that it was dispatched under."""
    bare = text.removeprefix("task_")
    return bare if JOB.fullmatch(bare) else text


def _messages(page: Object) -> list[Object]:
    found = page.get("messages")
    return [_object(message) for message in found] if isinstance(found, list) else []


def _object(answer: object) -> Object:
    return answer if isinstance(answer, dict) else {}
