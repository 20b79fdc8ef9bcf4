"""What can go wrong between a program and a gateway, as a small family of exceptions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from trunkline.sdk.answering import Answer, Lost, seconds_of

JsonObject = Mapping[str, object]
E = TypeVar("E", bound="TrunklineError")


@dataclass(frozen=True, slots=True)
class Said:
    """What a refusal says beside its sentence. `retry_after` in seconds."""

    code: str
    status: int | None = None
    details: JsonObject = field(default_factory=dict)
    retry_after: float | None = None
    request_id: str | None = None


class TrunklineError(Exception):
    """Anything that a call of the SDK can raise.

    `code` is stable and in capitals, `message` a sentence for people, `status` that of HTTP (None where no answer came), `details` what the
    gateway says beside it, `retry_after` the seconds after which trying again may help, `request_id` what finds it in the gateway's log.
    """

    def __init__(self, message: str, said: Said) -> None:
        super().__init__(message, said)
        self.message = message
        self.code = said.code
        self.status = said.status
        self.details = said.details
        self.retry_after = said.retry_after
        self.request_id = said.request_id

    def __str__(self) -> str:
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.message} [{self.code}]{request}"


class InvalidRequestError(TrunklineError):
    """400, 413, 415, 422: the gateway does not take what was sent."""


class AuthenticationError(TrunklineError):
    """401: no credential, or one that does not count."""


class PermissionDeniedError(TrunklineError):
    """403: the credential does not allow this."""


class NotFoundError(TrunklineError):
    """404: nothing by that name that the caller may see."""


class ConflictError(TrunklineError):
    """409: it is in a state that does not allow this."""


class RateLimitedError(TrunklineError):
    """429: a limit is used up; `retry_after` says for how long."""


class ServerError(TrunklineError):
    """5xx: something is away or broken on the gateway's side."""


class UnreachableError(TrunklineError):
    """No answer came: nobody listens, the name is unknown, TLS failed, or it took too long."""


class UnexpectedAnswerError(TrunklineError):
    """Whoever answered does not speak as a gateway of Trunkline does."""


_FAMILY: Final[Mapping[int, tuple[type[TrunklineError], str]]] = {
    401: (AuthenticationError, "AUTH_REQUIRED"),
    403: (PermissionDeniedError, "DENIED"),
    404: (NotFoundError, "NOT_FOUND"),
    409: (ConflictError, "CONFLICT"),
    429: (RateLimitedError, "RATE_LIMITED"),
}


def refused(answer: Answer, where: str) -> TrunklineError:
    """The error that an answer of 300 and more stands for; `where` names what was asked, for a stranger's answer. Pure."""
    kind, code = _kind(answer.status)
    spoken = _object(answer.body)
    sentence = spoken.get("detail", spoken.get("error"))
    said = Said(
        str(spoken.get("code") or code), answer.status, _details(spoken), seconds_of(answer.headers), answer.headers.get("x-request-id")
    )
    if not sentence or answer.status < 400:
        return kind(f"{where} answers {answer.status}: is that a gateway of Trunkline?", said)
    return kind(sentence if isinstance(sentence, str) else json.dumps(sentence), said)


def lost(broken: Lost, where: str) -> UnreachableError:
    """The error that no answer stands for. Pure."""
    return UnreachableError(f"No answer from {where}: {broken.why}.", Said("UNREACHABLE"))


def unreadable(answer: Answer, where: str) -> UnexpectedAnswerError:
    """The error that an answer in no shape of ours stands for; it says nothing of what is in it. Pure."""
    said = Said("UNEXPECTED_ANSWER", answer.status, request_id=answer.headers.get("x-request-id"))
    return UnexpectedAnswerError(
        f"{where} answers {answer.status} with something that cannot be read: is that a gateway of Trunkline?", said
    )


def _kind(status: int) -> tuple[type[TrunklineError], str]:
    if status >= 500:
        return ServerError, "UNAVAILABLE" if status in (502, 503, 504) else "INTERNAL_ERROR"
    if status < 400:
        return UnexpectedAnswerError, "UNEXPECTED_ANSWER"
    return _FAMILY.get(status, (InvalidRequestError, "INVALID_REQUEST"))


def _object(body: bytes) -> JsonObject:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _details(spoken: JsonObject) -> JsonObject:
    """With what the document puts beside them."""
    details = spoken.get("details")
    known = dict(details) if isinstance(details, dict) else {}
    return known | ({"upgradeUrl": spoken["upgradeUrl"]} if spoken.get("upgradeUrl") else {})
