"""What GitHub's refusals mean to whoever asked for the work; pure, so that every one of them can be tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from trunkline.contracts.errors import Conflict, Denied, DomainError, Exhausted, Invalid, NotFound, Unauthenticated, Unavailable
from trunkline.telemetry.redaction import Redactor

UNKNOWN_WAIT = 60.0
"""Seconds to be silent when GitHub says that it was too much and not for how long."""
LONGEST_WAIT = 86_400.0
_LIMITED = ("rate limit", "abuse detection", "too many requests")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of GitHub; the names of its headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class _Reason(BaseModel):
    model_config = ConfigDict(extra="ignore")

    message: str = ""
    field: str = ""
    code: str = ""


class Complaint(BaseModel):
    """The body of a refusal."""

    model_config = ConfigDict(extra="ignore")

    message: str = ""
    errors: list[_Reason | str] = []

    @property
    def said(self) -> str:
        """In one sentence, bounded, without what looks like a credential."""
        more = [each if isinstance(each, str) else each.message or f"{each.field} {each.code}".strip() for each in self.errors[:5]]
        return Redactor().text("; ".join(part for part in (self.message, *more) if part))[:500]

    @property
    def exists(self) -> bool:
        return "already exists" in self.said.lower()

    @property
    def head_unseen(self) -> bool:
        """A branch that was just pushed is not seen everywhere at once."""
        return any(not isinstance(each, str) and (each.field, each.code) == ("head", "invalid") for each in self.errors)


def complaint(reply: Reply) -> Complaint:
    """What is no complaint of GitHub's own, such as a page of a proxy, says nothing."""
    try:
        return Complaint.model_validate_json(reply.body)
    except ValidationError:
        return Complaint()


def wait_told(reply: Reply, now: float) -> float | None:
    """Seconds for which GitHub wants to hear nothing; None when this is no matter of limits."""
    told = _seconds(reply.headers.get("retry-after", ""))
    spent = reply.headers.get("x-ratelimit-remaining") == "0"
    about = complaint(reply).message.lower()
    limited = reply.status == 429 or (reply.status == 403 and (spent or any(word in about for word in _LIMITED)))
    if not limited and (told is None or reply.status not in (403, 503)):
        return None
    if told is not None:
        return min(told, LONGEST_WAIT)
    reset = _seconds(reply.headers.get("x-ratelimit-reset", "")) if spent else None
    if reset is None:
        return UNKNOWN_WAIT
    # A second more, because both clocks are told in whole ones.
    return min(max(reset - _clock(reply, now), 0.0) + 1.0, LONGEST_WAIT)


def failure(reply: Reply, doing: str, now: float) -> DomainError:
    """The refusal as one of our errors."""
    if (wait := wait_told(reply, now)) is not None:
        return exhausted(wait, reply.status)
    told = complaint(reply)
    said = f" GitHub says: {told.said}" if told.said else ""
    if reply.status >= 500 or reply.status == 408:
        return Unavailable(
            f"GitHub could not {doing} now ({reply.status}); try again later.", code="FORGE_UNAVAILABLE", status=reply.status
        )
    if reply.status == 422 and told.head_unseen:
        return Unavailable(f"GitHub could not {doing}: it does not see the branch yet.", code="BRANCH_NOT_SEEN", status=422)
    kind, code, text = _MEANINGS.get(reply.status, (Invalid, "FORGE_REFUSED", "Look at what it says."))
    return kind(f"GitHub did not {doing} ({reply.status}). {text}{said}", code=code, status=reply.status, exists=told.exists)


_MEANINGS: dict[int, tuple[type[DomainError], str, str]] = {
    401: (Unauthenticated, "UNAUTHENTICATED", "The credential is not valid any more, or never was; give another one."),
    403: (Denied, "FORGE_DENIED", "The credential does not allow this; look at what the App or the token may do in this repository."),
    404: (NotFound, "REPO_NOT_FOUND", "There is no such thing, or the credential may not see it; check the name and the credential."),
    409: (Conflict, "FORGE_CONFLICT", "The repository is in a state that does not allow this."),
    410: (NotFound, "REPO_NOT_FOUND", "It is gone, or switched off for this repository."),
    451: (Denied, "FORGE_DENIED", "It is blocked for legal reasons."),
}  # fmt: skip


def exhausted(wait: float, status: int | None = None) -> Exhausted:
    """`status`: None where it was not even asked."""
    text = f"GitHub wants to hear nothing from us for {wait:.0f} s, because it was asked too often; it is asked again then."
    return Exhausted(text, code="FORGE_LIMITED", retry_after=round(wait, 3), status=status)


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _clock(reply: Reply, now: float) -> float:
    """GitHub's own time, since its moments are by that."""
    try:
        return parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
    except ValueError:
        return now
