"""The dozen ways a request can be refused; they know no transport and are spoken once per dialect."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class DomainError(Exception):
    """A refusal with a machine-readable `code`, a sentence for people and JSON details."""

    kind: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, **details: JsonValue) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.kind.upper()
        self.details = details


class Invalid(DomainError):
    """The request cannot be understood or breaks a rule of its form."""

    kind = "invalid"


class TooLarge(DomainError):
    """The request is larger than what is taken."""

    kind = "too_large"


class Unsupported(DomainError):
    """The media type, method or ability asked for is not offered."""

    kind = "unsupported"


class Unauthenticated(DomainError):
    """No credential, or one that is not valid."""

    kind = "unauthenticated"


class Denied(DomainError):
    """The credential is valid and does not allow this."""

    kind = "denied"


class NotFound(DomainError):
    """Nothing by that name that the caller may see."""

    kind = "not_found"


class Conflict(DomainError):
    """The thing is in a state that does not allow this."""

    kind = "conflict"


class Exhausted(DomainError):
    """A limit is used up; details hold `retry_after` in seconds."""

    kind = "exhausted"


class Unavailable(DomainError):
    """The owner or the bus does not answer now; trying again later may work."""

    kind = "unavailable"


class Overdue(DomainError):
    """The deadline passed before the work was done; it was not done."""

    kind = "overdue"


class Broken(DomainError):
    """A defect of ours; the details are in the log, not in the answer."""

    kind = "broken"


_KINDS: dict[str, type[DomainError]] = {
    error.kind: error
    for error in (
        Invalid, TooLarge, Unsupported, Unauthenticated, Denied, NotFound, Conflict, Exhausted, Unavailable, Overdue, Broken,
    )
}  # fmt: skip


class Refusal(BaseModel):
    """A DomainError as it travels in the reply to a command."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str
    code: str
    message: str
    details: dict[str, JsonValue] = Field(default_factory=dict)

    @classmethod
    def of(cls, error: DomainError) -> Refusal:
        return cls(kind=error.kind, code=error.code, message=error.message, details=error.details)

    def error(self) -> DomainError:
        """The exception that this refusal was made of; an unknown kind reads as Broken."""
        details: dict[str, Any] = dict(self.details)
        return _KINDS.get(self.kind, Broken)(self.message, code=self.code, **details)
