"""The gateway's HTTP surface as the command line uses it: submit, follow, cancel; errors become the sentences that the gateway said."""

from __future__ import annotations

import asyncio
import os
import re
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from trunkline.contracts.errors import Conflict, DomainError, Exhausted, Invalid, NotFound, Unavailable
from trunkline_cli.plain import Plain, plain

ROOT: Final = "/api/pr-agent"
DEFAULT_URL: Final = "http://127.0.0.1:8787"
TRIES: Final = 20
_LONGEST_WAIT: Final = 3.0
_SILENCE: Final = 60.0
"""Seconds without a byte, heartbeats included, after which a stream is given up and opened again."""
_JOB: Final = re.compile(r"[0-9A-Fa-f]{8}(-?)[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{4}\1[0-9A-Fa-f]{12}")
_ERRORS: Final[dict[int, type[DomainError]]] = {404: NotFound, 409: Conflict, 429: Exhausted}


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
    """One event of a task's stream; which fields are there goes by `type`."""

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

    @property
    def last(self) -> bool:
        return self.type in ("result", "error")


def add_url(parser: ArgumentParser) -> None:
    default = os.environ.get("TRUNKLINE_URL", DEFAULT_URL)
    parser.add_argument("--url", default=default, help="where the gateway is (default: TRUNKLINE_URL, else %(default)s)")


@dataclass(frozen=True, slots=True)
class Api:
    """One gateway. Every call raises Unavailable when it cannot be reached, else the refusal that it spoke."""

    url: str
    http: aiohttp.ClientSession

    async def execute(self, repo: str, task: str, branch: str) -> str:
        """Submit a task; its job id."""
        return Job.model_validate(await self._ask("POST", "/execute", {"repo": repo, "task": task, "branch": branch})).jobId

    async def state(self, job: str) -> State:
        return State.model_validate(await self._ask("GET", f"/{job_id(job)}"))

    async def cancel(self, job: str, reason: str) -> None:
        """Raises Conflict when it is over already, unless it was cancelled."""
        await self._ask("POST", f"/{job_id(job)}/cancel", {"reason": reason})

    async def follow(self, job: str) -> AsyncIterator[StreamEvent]:
        """Every event from the first to the last; a connection that breaks is resumed where it broke."""
        job, seen, failures = job_id(job), "", 0
        while failures < TRIES:
            async for event in self._until_cut(job, seen):
                seen, failures = event.id or seen, 0
                yield event
                if event.last:
                    return
            failures += 1
            await asyncio.sleep(min(0.1 * 2.0**failures, _LONGEST_WAIT))
        raise self._unreachable()

    async def _until_cut(self, job: str, seen: str) -> AsyncIterator[StreamEvent]:
        """What one connection gives; that it breaks is no error here, as the next one goes on from there."""
        try:
            async for event in self._stream(job, seen):
                yield event
        except (aiohttp.ClientError, TimeoutError):
            return

    async def _stream(self, job: str, seen: str) -> AsyncIterator[StreamEvent]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": seen} if seen else {})}
        patience = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=_SILENCE)
        async with self.http.get(f"{self.url}{ROOT}/{job}/stream", headers=headers, timeout=patience) as answer:
            await _refuse(answer)
            rest = b""
            async for chunk in answer.content.iter_any():
                *blocks, rest = (rest + chunk).split(b"\n\n")
                for event in filter(None, map(parse, blocks)):
                    yield event

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> JsonValue:
        try:
            async with self.http.request(method, f"{self.url}{ROOT}{path}", json=body) as answer:
                await _refuse(answer)
                return await answer.json()  # type: ignore[no-any-return]  # aiohttp calls JSON Any
        except (aiohttp.ClientError, TimeoutError):
            raise self._unreachable() from None

    def _unreachable(self) -> Unavailable:
        return Unavailable(f"No gateway answers at {self.url}. Start one with `trunkline up`, or give its address by --url.")


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30, sock_connect=5)) as http:
        yield Api(url.rstrip("/"), http)


def job_id(text: str) -> str:
    """A job id as it was typed. Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not _JOB.fullmatch(text):
        raise NotFound(f"There is no job {text!r}: `trunkline run` prints the id of a job, 32 hexadecimal digits with or without dashes.")
    return text


def parse(block: bytes) -> StreamEvent | None:
    """One block of an event stream; None for a comment or something that is no event of ours. Pure."""
    lines = [line.partition(": ") for line in block.decode("utf-8", "replace").splitlines() if not line.startswith(":")]
    data = "\n".join(value for name, _, value in lines if name == "data")
    try:
        event = StreamEvent.model_validate_json(data)
    except ValidationError:
        return None
    return event.model_copy(update={"id": next((value for name, _, value in lines if name == "id"), "")})


async def _refuse(answer: aiohttp.ClientResponse) -> None:
    if answer.status < 400:
        return
    try:
        body = await answer.json()
        said, code = plain(str(body["error"])), plain(str(body.get("code", "")))
    except (aiohttp.ClientError, ValueError, KeyError, TypeError):
        said, code = f"{answer.url} answers {answer.status}", ""
    kind = Unavailable if answer.status >= 500 else _ERRORS.get(answer.status, Invalid)
    raise kind(said, code=code or None)
