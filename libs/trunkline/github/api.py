"""GitHub's API on somebody's account: what is asked, what is read of the answers, and which refusals are believed at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol, TypeVar

import structlog
from pydantic import BaseModel, ConfigDict, JsonValue

from trunkline.contracts.errors import Conflict, Denied, DomainError, Invalid, NotFound, Unauthenticated
from trunkline.github.calls import Caller, Calls, Wish

log = structlog.get_logger(__name__)
T = TypeVar("T")
_BELIEVED = ("FORGE_CREDENTIAL", "APP_NOT_INSTALLED", "APP_LACKS_RIGHTS")
_REFUSALS = (Denied, NotFound, Conflict, Invalid)


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Rights(_Told):
    """Of the one whose token it is; for the token of an App all stand at False."""

    pull: bool = False
    push: bool = False


class Repository(_Told):
    full_name: str
    clone_url: str = ""
    archived: bool = False
    permissions: Rights | None = None


class _Name(_Told):
    full_name: str = ""


class Branch(_Told):
    ref: str
    sha: str = ""
    repo: _Name | None = None
    """None when a fork was deleted."""


class Pull(_Told):
    number: int
    html_url: str
    state: str = "open"
    head: Branch
    base: Branch
    merged_at: str | None = None
    body: str | None = ""


class Comment(_Told):
    id: int
    body: str | None = ""


class Installation(_Told):
    id: int
    permissions: Mapping[str, str] | None = None


class InstallationToken(_Told):
    token: str
    expires_at: datetime


class Done(_Told):
    """An answer of which nothing is read."""


class Credential(Protocol):
    """Where the token for one repository comes from."""

    async def caller(self) -> Caller: ...

    def drop(self, caller: Caller) -> None:
        """GitHub does not take it any more."""
        ...


class Account:
    """Calls for one repository. A refusal is believed when it was heard twice, `doubt_s` seconds apart.

    A token or a branch that was just made is not known everywhere at once, and a run has cost more than the second question.
    """

    def __init__(self, calls: Calls, credential: Credential, doubt_s: float) -> None:
        self._calls = calls
        self._credential = credential
        self._doubt_s = doubt_s

    async def get(self, path: str, doing: str, kind: type[T], query: Mapping[str, str] | None = None) -> T:
        wish = Wish("GET", path, doing, query or {})
        try:
            return await self.send(wish, kind)
        except _REFUSALS as error:
            await self.doubt(error)
            return await self.send(wish, kind)

    async def post(self, path: str, doing: str, kind: type[T], body: Mapping[str, JsonValue]) -> T:
        """Once, but for a credential that is not taken: what was refused may be looked for before it is tried again."""
        return await self.send(Wish("POST", path, doing, body=body), kind)

    async def doubt(self, error: DomainError) -> None:
        """Wait before it is asked again; raises what was asked again already."""
        if error.code in _BELIEVED:
            raise error
        log.info("forge.refusal_doubted", error=error.message)
        await asyncio.sleep(self._doubt_s)

    async def send(self, wish: Wish, kind: type[T]) -> T:
        """Raises Denied for a credential that was refused twice, the second time a new one where there is one."""
        caller = await self._credential.caller()
        try:
            return await self._calls.send(wish, caller, kind)
        except Unauthenticated as error:
            self._credential.drop(caller)
            await self.doubt(error)
        try:
            return await self._calls.send(wish, await self._credential.caller(), kind)
        except Unauthenticated as error:
            raise Denied(error.message, code="FORGE_CREDENTIAL", status=error.details.get("status")) from None
