"""What an omni client sends and reads about sandboxes; what its document does not have is ours, and left out it changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from trunkline.contracts.ids import token
from trunkline.contracts.sandbox import LONGEST_PAGE, Cpus, Label, Labels, Megabytes, Seconds, User

_STRICT = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
_LOOSE = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
Status = Literal["creating", "ready", "stopped", "error", "deleted"]
SandboxId = Annotated[str, AfterValidator(token), Field(min_length=1, max_length=64)]
Host = Annotated[str, Field(min_length=1, max_length=253)]


class CreateBody(BaseModel):
    """POST /api/sandbox/create."""

    model_config = _STRICT

    userId: User
    """Any text of at most 1 KiB. The user's preferred sandbox is returned, restarted or replaced."""
    provider: Annotated[str, Field(max_length=64)] = ""
    labels: Labels = {}
    cpus: Cpus = 0
    memoryMb: Megabytes = 0
    diskMb: Megabytes = 0
    egress: Annotated[list[Host], Field(max_length=100)] | None = None
    """Hosts that it may reach."""
    ttlSeconds: Seconds = 0
    idleSeconds: Seconds | None = None
    reuse: bool = True
    """Off: a new one beside those that are there."""


class SandboxBody(BaseModel):
    """Which sandbox."""

    model_config = _STRICT

    sandboxId: SandboxId


class StatusQuery(BaseModel):
    """Which sandbox."""

    model_config = _LOOSE

    id: SandboxId


class ListQuery(BaseModel):
    """Which sandboxes."""

    model_config = _LOOSE

    id: Annotated[SandboxId | None, Field(description="This one alone; nothing else is asked for then.")] = None
    userId: User | None = None
    status: Literal["creating", "ready", "stopped", "error"] | None = None
    label: Annotated[Label | None, Field(pattern=r"^[^=]+=.*$", description="`name=value`.")] = None
    limit: Annotated[int, Field(ge=1, le=LONGEST_PAGE)] = 50
    cursor: Annotated[str | None, Field(max_length=200, description="`next` of the page before.")] = None


def _day(text: str) -> str:
    """Raises ValueError for what no calendar has."""
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007  # a day, and no moment
    except ValueError:
        raise ValueError("a day is written as yyyymmdd, and in the calendar") from None
    return text


Day = Annotated[str, Field(pattern=r"^[0-9]{8}$"), AfterValidator(_day)]


class UsageQuery(BaseModel):
    """Which day."""

    model_config = _LOOSE

    day: Annotated[Day | None, Field(description="As yyyymmdd, UTC; today when left out.")] = None


class SandboxSaid(BaseModel):
    """A sandbox after what was asked of it."""

    sandboxId: str
    status: Status


class SandboxStanding(BaseModel):
    """How a sandbox stands."""

    sandboxId: str
    status: Status
    createdAt: int


class SandboxShown(BaseModel):
    """A sandbox of a list. Times in milliseconds since 1970."""

    sandboxId: str
    status: Status
    createdAt: int
    userId: str
    provider: str
    isolation: str
    image: str
    """The name of the snapshot that it began with; empty: none."""
    site: str
    """The machine that keeps it, where its provider is this machine or another of the installation; else empty."""
    labels: dict[str, str]
    egress: list[str]
    cpus: float
    memoryMb: int
    diskMb: int
    expiresAt: int | None
    idleAt: int | None
    """When it is stopped unless somebody uses it; null: never, or it is not ready."""
    idleSeconds: float
    usedSeconds: float
    costUsd: float | None
    code: str
    error: str


class SandboxList(BaseModel):
    """A page, the newest first."""

    sandboxes: list[SandboxShown]
    total: int
    next: str | None


class SandboxUse(BaseModel):
    """What the sandboxes of the tenant used on one day (UTC)."""

    day: str
    minutes: float
    costUsd: float
    running: int
