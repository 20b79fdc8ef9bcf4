"""Named sandboxes: places to work that a user keeps between jobs. Owned by the sandbox service; a job's own sandbox is none of them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message

SERVICE: Final = "sandbox"
LOCAL: Final = "local"
"""The provider that is this machine."""
LONGEST_USER: Final = 1024
"""Bytes as UTF-8."""
LONGEST_PAGE: Final = 200
_LABELS: Final = 32


def pool_of(site: str, provider: str = "") -> str:
    """Where jobs wait that only some services can do: those of the site that keeps their sandbox, or those that have its provider.

    Whoever names neither, or this machine's provider and no site, as before there were sites, means the usual pool.
    """
    if site:
        return f"site-{site}"
    return f"at-{provider}" if provider not in ("", LOCAL) else "dev"


def site_of(pool: str) -> str:
    """The site whose jobs wait there; empty: no site's."""
    return pool.removeprefix("site-") if pool.startswith("site-") else ""


def service_at(provider: str) -> str:
    """Who answers what only services that have this provider can."""
    return f"{SERVICE}-at-{provider}"


class SandboxStatus(StrEnum):
    """How a sandbox stands, in the words of the surfaces."""

    CREATING = "creating"
    READY = "ready"
    STOPPED = "stopped"
    ERROR = "error"
    DELETED = "deleted"


class Why(StrEnum):
    """Who or what wanted a sandbox stopped or deleted."""

    ASKED = "asked"
    IDLE = "idle"
    TTL = "ttl"
    CAP = "cap"
    """The tenant's minutes of the day are used up."""
    REPLACED = "replaced"
    """It was broken, and its user has another one."""


def _user(text: str) -> str:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("a user is text that UTF-8 can write") from None
    if not 0 < size <= LONGEST_USER:
        raise ValueError(f"a user has 1 to {LONGEST_USER} bytes")
    return text


User = Annotated[str, AfterValidator(_user)]
"""Whatever a caller calls its user: it is shown and hashed, and never stands in a subject or a path."""
Label = Annotated[str, Field(max_length=256)]
Labels = Annotated[dict[Label, Label], Field(max_length=_LABELS)]


Seconds = Annotated[float, Field(ge=0, le=10 * 366 * 86400)]
"""Up to ten years; more is no time that anybody means, and none that a calendar holds."""
Cpus = Annotated[float, Field(ge=0, le=4096)]
Megabytes = Annotated[int, Field(ge=0, le=1 << 30)]


class SandboxTerms(Message):
    """What a sandbox shall be; 0 and None stand for the installation's own choice."""

    labels: Labels = {}
    cpus: Cpus = 0
    memory_mb: Megabytes = 0
    disk_mb: Megabytes = 0
    egress: tuple[str, ...] | None = Field(default=None, max_length=100)
    """Hosts (`name` or `name:port`) that may be reached; an empty list: none."""
    ttl_s: Seconds = 0
    """After so many seconds it is deleted, whatever it does."""
    idle_s: Seconds | None = None
    """Without being used for so many seconds it is stopped; 0: never."""


class EnsureSandbox(Command):
    """Give this user a sandbox: the preferred one while it is of use, else a new one. Repeating it changes nothing."""

    type: Literal["ensure_sandbox"] = "ensure_sandbox"
    sandbox_id: Token
    """Minted by the gateway, from the caller's own key for the request where it has one; the sandbox's id if one is made for it."""
    user: User
    provider: str = Field(default="", max_length=64)
    """Empty: the installation's own choice."""
    terms: SandboxTerms = SandboxTerms()
    by: str
    """The authenticated subject."""
    owner: str | None = None
    """Finds it only when it belongs to this subject; None: any of the tenant. So in all commands about one sandbox."""
    reuse: bool = True
    """Off: a new one, beside those that are there; it is not preferred."""


class AboutSandbox(Message):
    """Which one; no message of its own."""

    sandbox_id: Token
    owner: str | None = None


class ChangingSandbox(AboutSandbox):
    by: str = ""
    """The authenticated subject."""


class GetSandbox(AboutSandbox, Command):
    type: Literal["get_sandbox"] = "get_sandbox"


class StartSandbox(ChangingSandbox, Command):
    """Answers at once; how it goes on is read with GetSandbox. One that is ready or on its way is left alone."""

    type: Literal["start_sandbox"] = "start_sandbox"


class StopSandbox(ChangingSandbox, Command):
    """End what runs in it and keep its files."""

    type: Literal["stop_sandbox"] = "stop_sandbox"


class DeleteSandbox(ChangingSandbox, Command):
    """One that is deleted already is refused as unknown."""

    type: Literal["delete_sandbox"] = "delete_sandbox"


class TouchSandbox(AboutSandbox, Command):
    """It is being used: its idle time begins anew."""

    type: Literal["touch_sandbox"] = "touch_sandbox"


class ListSandboxes(Command):
    """The newest first; deleted ones are not among them."""

    type: Literal["list_sandboxes"] = "list_sandboxes"
    owner: str | None = None
    user: User | None = None
    status: SandboxStatus | None = None
    labels: Labels = {}
    """It must have all of them."""
    limit: int = Field(default=50, ge=1, le=LONGEST_PAGE)
    cursor: str | None = Field(default=None, max_length=200)
    """`next` of the page before."""


class SandboxUsage(Command):
    """What the tenant's named sandboxes used on one day (UTC)."""

    type: Literal["sandbox_usage"] = "sandbox_usage"
    day: str = Field(pattern=r"^[0-9]{8}$")
    """yyyymmdd."""


class SandboxView(Message):
    """A sandbox for people and programs."""

    sandbox_id: Token
    user: str
    owner: str
    status: SandboxStatus
    created_at: datetime
    provider: str
    isolation: str = ""
    image: str = ""
    """The name of the snapshot that it began with; empty: none, or nobody recorded it."""
    site: str = ""
    """Which machine keeps it, where only that one's services reach it; empty: all do."""
    terms: SandboxTerms
    ready_at: datetime | None = None
    """Since when it is ready, or was last."""
    expires_at: datetime | None = None
    idle_at: datetime | None = None
    """When it is stopped unless somebody uses it; None: never, or it is not ready."""
    used_s: float = 0
    """Seconds that it was ready for, as far as they are counted."""
    cost_usd: float | None = None
    """None where nobody said what an hour costs."""
    code: str = ""
    """Why it is in error."""
    error: str = ""


class SandboxPage(Message):
    sandboxes: tuple[SandboxView, ...]
    total: int
    """Under the same filter."""
    next: str | None = None


class SandboxUsageView(Message):
    day: str
    seconds: int
    cost_usd: float
    running: int
    """Ready ones now."""


class SandboxWanted(Fact):
    type: Literal["sandbox.wanted"] = "sandbox.wanted"
    user: str
    provider: str
    terms: SandboxTerms
    by: str


class SandboxMade(Fact):
    """The provider has it."""

    type: Literal["sandbox.made"] = "sandbox.made"
    ref: str
    """The provider's own name for it."""
    isolation: str
    image: str = ""
    """The name of the snapshot that it began with; empty: none, and in records of before there was one."""
    site: str = ""
    """Whose services alone reach it; empty: every replica does, and in records of before there were sites."""


class SandboxIsReady(Fact):
    type: Literal["sandbox.ready"] = "sandbox.ready"


class SandboxStopWanted(Fact):
    type: Literal["sandbox.stop_wanted"] = "sandbox.stop_wanted"
    why: Why
    by: str = ""


class SandboxIsStopped(Fact):
    type: Literal["sandbox.stopped"] = "sandbox.stopped"


class SandboxStartWanted(Fact):
    type: Literal["sandbox.start_wanted"] = "sandbox.start_wanted"
    by: str = ""


class SandboxDeleteWanted(Fact):
    type: Literal["sandbox.delete_wanted"] = "sandbox.delete_wanted"
    why: Why
    by: str = ""


class SandboxIsDeleted(Fact):
    type: Literal["sandbox.deleted"] = "sandbox.deleted"


class SandboxBroke(Fact):
    """What could not be done, or is gone. Never the end: it may be started, replaced or deleted."""

    type: Literal["sandbox.broke"] = "sandbox.broke"
    code: str
    error: str


class SandboxFound(Fact):
    """The provider says something else than we knew, and it is right."""

    type: Literal["sandbox.found"] = "sandbox.found"
    state: Literal["ready", "stopped"]


class SandboxUsed(Fact):
    """It was ready for so long since the last of these."""

    type: Literal["sandbox.used"] = "sandbox.used"
    seconds: float
    cost_usd: float | None = None


class SandboxTouched(Fact):
    """It was used; said twice a minute at most."""

    type: Literal["sandbox.touched"] = "sandbox.touched"


class SandboxPreferred(Fact):
    """The one that this user gets from now on."""

    type: Literal["sandbox.preferred"] = "sandbox.preferred"
    sandbox_id: Token
