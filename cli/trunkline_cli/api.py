"""The pr_agent surface as the command line uses it: submit, follow, cancel."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from trunkline.contracts.errors import NotFound
from trunkline_cli.blocks import Block
from trunkline_cli.door import Door, Wish
from trunkline_cli.plain import Plain

ROOT: Final = "/api/pr-agent"
LAST: Final = ("result", "error")
JOB: Final = re.compile(r"[0-9A-Fa-f]{8}(-?)[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{12}")


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Job(_Read):
    """A task that was taken."""

    jobId: Plain


class State(_Read):
    """How a task stands."""

    status: Plain = ""
    completedAt: datetime | None = None
    errorCode: Plain | None = None

    @property
    def over(self) -> bool:
        return self.completedAt is not None


class Result(_Read):
    """What came out of a task that succeeded."""

    fixBranch: Plain
    prNumber: int
    prUrl: Plain
    commitSha: Plain
    filesChanged: int | None = None
    additions: int | None = None
    deletions: int | None = None


class StreamEvent(_Read):
    """One event of a job's stream; which fields are there goes by `type`."""

    id: str = ""
    type: Plain
    timestamp: datetime
    status: Plain = ""
    phase: Plain = ""
    message: Plain = ""
    eventType: Plain = ""
    tool: Plain = ""
    display: Plain = ""
    output: Plain = ""
    isError: bool = False
    error: Plain = ""
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """Every call raises Unavailable when the gateway cannot be reached, else the refusal that it spoke."""

    door: Door

    async def execute(self, body: Mapping[str, JsonValue]) -> JsonValue:
        """Submit a task; the whole answer, which reads as a Job."""
        return await self.door.ask(Wish("POST", f"{ROOT}/execute", dict(body)))

    async def state(self, job: str) -> State:
        return State.model_validate(await self.door.ask(Wish("GET", f"{ROOT}/{job_id(job)}")))

    async def cancel(self, job: str, reason: str) -> None:
        """Raises Conflict when it is over already, unless it was cancelled."""
        await self.door.ask(Wish("POST", f"{ROOT}/{job_id(job)}/cancel", {"reason": reason}))

    def blocks(self, job: str, query: str = "") -> AsyncIterator[Block]:
        """The stream of a job as it comes, from the first event to the last. `query` says how, as it stands in a URL. Raises NotFound."""
        return self.door.follow(f"{ROOT}/{job_id(job)}/stream{query}", lambda block: block.data.get("type") in LAST)

    async def follow(self, job: str) -> AsyncIterator[StreamEvent]:
        async for block in self.blocks(job):
            if event := read(block):
                yield event


def job_id(text: str) -> str:
    """A job id as it was typed. Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not JOB.fullmatch(text):
        raise no_task(text)
    return text


def no_task(text: str) -> NotFound:
    return NotFound(f"There is no task {text!r}: an id is what `trunkline run` and `trunkline tasks` print, with 32 hexadecimal digits.")


def read(block: Block) -> StreamEvent | None:
    """One event; None for what is no event of a job. Pure."""
    try:
        return StreamEvent.model_validate(block.data | {"id": block.id})
    except ValidationError:
        return None
