"""Whose cloud it is: what it is called in our sentences and codes, and which of its failures may be over a moment later. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from trunkline.contracts.errors import Broken, Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Unavailable

Failure = Literal["away", "timeout", "busy", "denied", "not_found", "conflict", "refused", "not_understood"]
_KINDS: Final[Mapping[Failure, type[DomainError]]] = {
    "away": Unavailable, "timeout": Unavailable, "busy": Exhausted, "denied": Denied, "not_found": NotFound, "conflict": Conflict,
    "refused": Invalid, "not_understood": Broken,
}  # fmt: skip
_STATUS: Final[Mapping[int, Failure]] = {
    401: "denied", 403: "denied", 404: "not_found", 408: "away", 409: "conflict", 410: "not_found", 429: "busy",
    500: "away", 502: "away", 503: "away", 504: "away",
}  # fmt: skip
_OURS: Final = ("PORTER_SILENT", "SANDBOX_BUSY")
_PASSING: Final[tuple[Failure, ...]] = ("away", "timeout", "busy", "conflict", "not_found")


@dataclass(frozen=True, slots=True)
class Vendor:
    """One cloud."""

    id: str
    """As the settings name it."""
    name: str
    """As people name it."""
    key: str
    """The variable that holds its key."""
    codes: Mapping[Failure, str]
    """Ours, for what it fails with."""
    passing: tuple[Failure, ...] = _PASSING
    """What the same call may get over a moment later."""
    unique_names: bool = True
    """A name is taken once, so that two who make the same sandbox make one."""
    keeps_memory: bool = False
    """A sandbox that it stops wakes with its programs going on, unless they are ended first."""

    def failure(self, kind: Failure, said: str, retry_after: int | None = None) -> DomainError:
        told = f"{said} Look at {self.key}." if kind == "denied" else said
        details = {"retry_after": retry_after} if retry_after is not None else {}
        return _KINDS[kind](told, code=self.codes[kind], **details)

    def by_status(self, said: str, status: int | None, retry_after: int | None = None) -> DomainError:
        """What an HTTP status means; none: it never came to one."""
        kind = "away" if status is None else _STATUS.get(status, "refused")
        return self.failure(kind, said, (retry_after or 1) if kind == "busy" else None)

    def passes(self, error: DomainError) -> bool:
        """Whether the same call may go well a moment later: refusals of our own porter are meant."""
        return error.code in _OURS or error.code in [self.codes[kind] for kind in self.passing]


def words(error: Exception) -> str:
    """What somebody else's error says, as the end of a sentence of ours."""
    return (" ".join(str(error).split()) or type(error).__name__)[:300].rstrip(".") + "."
