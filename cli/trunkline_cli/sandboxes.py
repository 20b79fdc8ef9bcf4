"""Named sandboxes as the command line asks for them and shows them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, JsonValue

from trunkline.contracts.errors import NotFound
from trunkline_cli.door import Door, Wish
from trunkline_cli.orchestrator import Object
from trunkline_cli.plain import Plain, one_line
from trunkline_cli.tables import NOTHING, Cell, Column, Room, Row, span

ROOT: Final = "/api/sandbox"
PAGE: Final = 200
"""The most that is asked for at once."""
STYLES: Final = {"creating": "yellow", "ready": "green", "stopped": "dim", "error": "bold red"}
SANDBOXES: Final = (
    Column("sandbox"), Column("user", Room.BELOW), Column("provider", Room.WIDE), Column("status"), Column("image", Room.WIDE),
    Column("age"), Column("idle left"), Column("life left"), Column("minutes"), Column("problem", Room.BELOW),
)  # fmt: skip
STARTED_WITHIN: Final = 75.0
"""Seconds: longer than a gateway waits for one that starts."""
_SANDBOX: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class SandboxShown(BaseModel):
    """One of a list. Times in milliseconds since 1970."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sandboxId: Plain
    status: Plain = ""
    createdAt: float
    userId: Plain = ""
    provider: Plain = ""
    image: Plain = ""
    expiresAt: float | None = None
    idleAt: float | None = None
    usedSeconds: float = 0
    code: Plain = ""
    error: Plain = ""


class SandboxList(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    sandboxes: tuple[SandboxShown, ...] = ()
    total: int | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Answers are JSON objects as they came. Every call raises Unavailable, or the refusal that the gateway spoke."""

    door: Door

    async def all(self, query: Mapping[str, str], most: int) -> Object:
        """At most so many, the newest first, of as many pages as that takes, as one page."""
        page, found, cursor = Object(), list[JsonValue](), ""
        while len(found) < most and (cursor or not page):
            asked = {**query, "limit": str(min(most - len(found), PAGE)), **({"cursor": cursor} if cursor else {})}
            page = _object(await self.door.ask(Wish("GET", f"{ROOT}/list", query=asked)))
            listed = page.get("sandboxes")
            found += listed if isinstance(listed, list) else []
            cursor = str(page.get("next") or "")
        return {**page, "sandboxes": found[:most]}

    async def one(self, sandbox: str) -> Object:
        """Raises NotFound."""
        found = (await self.all({"id": named(sandbox)}, 1)).get("sandboxes")
        if not isinstance(found, list) or not found or not isinstance(found[0], dict):
            raise unknown(sandbox)
        return found[0]

    async def create(self, body: Object) -> Object:
        """Raises Invalid, Denied, Exhausted where there are too many."""
        return await self._post("create", body)

    async def tell(self, verb: str, sandbox: str) -> Object:
        """`verb` is start, stop or delete. Raises NotFound; Conflict for one that is not ready for that."""
        return await self._post(verb, {"sandboxId": named(sandbox)})

    async def _post(self, verb: str, body: Object) -> Object:
        """With a key, so that a gateway that was asked twice does it once."""
        wish = Wish("POST", f"{ROOT}/{verb}", body, headers={"Idempotency-Key": uuid4().hex}, patience=STARTED_WITHIN)
        return _object(await self.door.ask(wish))


def sandbox_row(sandbox: SandboxShown, now: datetime) -> Row:
    """Pure."""
    return (
        Cell(sandbox.sandboxId),
        Cell(one_line(sandbox.userId)),
        Cell(one_line(sandbox.provider)),
        Cell(sandbox.status, style=STYLES.get(sandbox.status, "")),
        Cell(one_line(sandbox.image)),
        Cell(span(now.timestamp() - sandbox.createdAt / 1000)),
        Cell(_left(sandbox.idleAt, now)),
        Cell(_left(sandbox.expiresAt, now)),
        Cell(f"{sandbox.usedSeconds / 60:.1f}"),
        Cell(one_line(f"{sandbox.code} {sandbox.error}")),
    )


def in_full(sandbox: Object, now: datetime) -> Object:
    """Every field, moments as people read them, and what is left of its life. Pure."""
    read = SandboxShown.model_validate(sandbox)
    moments = {name: _moment(sandbox[name]) for name in ("createdAt", "expiresAt", "idleAt") if sandbox.get(name) is not None}
    left = {"idleLeft": _left(read.idleAt, now), "lifeLeft": _left(read.expiresAt, now)}
    return {**sandbox, **moments, **{name: told for name, told in left.items() if told != NOTHING}}


def named(sandbox: str) -> str:
    """Raises NotFound for what cannot be one: no gateway has to be asked."""
    if not _SANDBOX.fullmatch(sandbox):
        raise unknown(sandbox)
    return sandbox


def unknown(sandbox: str) -> NotFound:
    return NotFound(f"There is no sandbox {sandbox!r}: `trunkline sandboxes` lists them, `sandboxes create USER` makes one.")


def _left(until_ms: float | None, now: datetime) -> str:
    return NOTHING if until_ms is None else span(until_ms / 1000 - now.timestamp())


def _moment(ms: object) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds") if isinstance(ms, int | float) else ""


def _object(answer: object) -> Object:
    return answer if isinstance(answer, dict) else {}
