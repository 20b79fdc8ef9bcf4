"""What a pr_agent client asks of lists, limits and the demonstration, and what it reads."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from trunkline_gateway.dialects.pr_agent.schemas import JobFields, Resume

FURTHEST: Final = 10_000

_QUERY: Final = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
_CLOSED: Final = ConfigDict(extra="forbid", use_attribute_docstrings=True)


_DIGITS: Final = re.compile(r"-?[0-9]{1,30}")


def _whole(text: object) -> object:
    """Python's ways to write a number, such as 1_0 and 5.0, are nobody's in a query."""
    if isinstance(text, str) and not _DIGITS.fullmatch(text):
        raise PydanticCustomError("whole", "must be a whole number")
    return text


Whole = Annotated[int, BeforeValidator(_whole)]


class JobsQuery(BaseModel):
    """GET /api/pr-agent/jobs."""

    model_config = _QUERY

    limit: Annotated[Whole, Field(ge=1, le=100)] = 10
    offset: Annotated[Whole, Field(ge=0, le=FURTHEST)] = 0
    status: Literal["pending", "running", "success", "failed", "all"] = "all"
    github_username: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Only jobs that were sent under this login; in any case of letters."""
    fingerprint: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Only jobs that were sent with this `clientFingerprint`. Without a credential it must be named, and have 8 characters."""


class LimitsQuery(BaseModel):
    """GET /api/pr-agent/rate-limit-status."""

    model_config = _QUERY

    fingerprint: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """The `clientFingerprint` that execute would be sent with."""
    client_fingerprint: Annotated[str | None, Field(alias="clientFingerprint", min_length=1, max_length=200)] = None
    """The same by the name that execute has for it; `fingerprint` counts before it."""


class DemonstrationQuery(Resume):
    """GET /api/pr-agent/test-stream."""

    outcome: Annotated[Literal["result", "error"], Field(description="How it ends: no stream has both.")] = "result"


class JobPage(BaseModel):
    """One's own jobs, newest first; long texts are cut."""

    model_config = _CLOSED

    jobs: list[JobFields]
    total: int
    """Of all that match, on this page or not."""
    limit: int
    offset: int
    count: int
    """On this page."""


class WindowLeft(BaseModel):
    """One window; all null where it does not limit."""

    model_config = _CLOSED

    limit: int | None
    remaining: int | None
    reset: int | None
    """When it has room for one more, in seconds since 1970."""


class RateLimits(BaseModel):
    """How many jobs the caller may start, and may still start now. Asking counts for nothing."""

    model_config = _CLOSED

    tier: Literal["anonymous", "authenticated", "pro", "operator"]
    limits: dict[str, WindowLeft]
    """`minute`, `hour` and `day`, and what else is configured."""
    limit: int | None
    """Of the tightest window, as the headers say it."""
    remaining: int | None
    reset: int | None
    retryAfter: int | None
    """Seconds until the next job may be started; null: at once."""
    upgradeUrl: str | None
