"""Follows one task to its end: as whoever has a credential sees it, or as a stranger sees a job of strangers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from pydantic import ValidationError

from trunkline.contracts.errors import NotFound, Unauthenticated
from trunkline_cli import api, tidings, timeline
from trunkline_cli.api import Api
from trunkline_cli.blocks import Block
from trunkline_cli.console import FAILED, OK, out, print_json
from trunkline_cli.door import Door
from trunkline_cli.orchestrator import Orchestrator
from trunkline_cli.pacing import paced
from trunkline_cli.shapes import Spent, TaskEvent
from trunkline_cli.timeline import Told

SUCCESS: Final = ("task.completed", "result")


@dataclass(frozen=True, slots=True)
class Moment:
    """An event of either surface, in words."""

    timestamp: datetime
    told: Told | None


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream is wanted: as it stands, or at its own pace. `first` is the id of an event."""

    speed: str = ""
    first: str = ""
    faster: float | None = None
    """Than a gateway paces: paced here, of a stream as it stands."""

    @property
    def query(self) -> str:
        """As it stands in a URL; no text for a stream as it stands. What is wrong with it is the gateway's to say."""
        said = {"speed": self.speed, "from": self.first}
        return f"?{urlencode(asked)}" if (asked := {name: text for name, text in said.items() if text}) else ""


AS_IT_COMES: Final = Pace()


async def watch(door: Door, task: str, as_json: bool, pace: Pace = AS_IT_COMES) -> int:
    """Print what happens; the exit code that goes with its end. Raises NotFound, Unauthenticated, Denied, Unavailable."""
    ends = _Ends(paced(_blocks(door, task, pace.query), _at, pace.faster))
    if as_json:
        async for block in ends:
            print_json(block.data | {"id": block.id or None}, line=True)
    else:
        await timeline.show(_moments(ends), out(), lambda moment: moment.told)
        if ends.spent:
            out().print(f"         {ends.spent.told}", style="dim", markup=False, highlight=False)
    return OK if ends.last in SUCCESS else FAILED


def moment_of(block: Block) -> Moment | None:
    """Pure; None for what is no event of ours."""
    if "event_type" not in block.data:
        said = api.read(block)
        return Moment(said.timestamp, timeline.tell(said)) if said else None
    try:
        event = TaskEvent.model_validate(block.data)
    except ValidationError:
        return None
    return Moment(event.timestamp, tidings.tell(event))


def _at(block: Block) -> datetime | None:
    moment = moment_of(block)
    return moment.timestamp if moment else None


class _Ends:
    """Passes blocks on, and remembers by what name the last of them went, and what models cost."""

    def __init__(self, blocks: AsyncIterator[Block]) -> None:
        self._blocks = blocks
        self.last = ""
        self.spent: Spent | None = None

    async def __aiter__(self) -> AsyncIterator[Block]:
        async for block in self._blocks:
            self.last = str(block.data.get("event_type") or block.data.get("type"))
            ours = "published_by" not in block.data
            if self.last == "gap" and ours:  # everything is told once more
                self.spent = None
            if self.last == "model.answered" and ours:
                self.spent = (self.spent or Spent()).plus(block.data.get("payload"))
            yield block


async def _blocks(door: Door, task: str, query: str) -> AsyncIterator[Block]:
    task = await Orchestrator(door).named(task)
    named = task.startswith("task_")
    if not (door.known or named):
        async for block in Api(door).blocks(task, query):
            yield block
        return
    try:
        async for block in Orchestrator(door).events(task, query):
            yield block
    except Unauthenticated as refused:  # the key that was found here is another gateway's
        if named:
            raise
        async for block in _as_stranger(door, task, query, refused):
            yield block


async def _as_stranger(door: Door, task: str, query: str, refused: Unauthenticated) -> AsyncIterator[Block]:
    """Raises what the credential was refused with where that is what is in the way."""
    try:
        async for block in Api(door).blocks(task, query):
            yield block
    except NotFound:
        raise refused from None


async def _moments(ends: _Ends) -> AsyncIterator[Moment]:
    async for block in ends:
        if moment := moment_of(block):
            yield moment
