"""What the relay needs from the world: the log to read, a place for views that may be thrown away at any time, and for webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from pydantic import BaseModel

from trunkline.auth.claims import Token as Credential
from trunkline.bus import Stored as InLog
from trunkline.bus.dead import DeadLetter
from trunkline.contracts.approval_views import ApprovalPage, ApprovalView, ListApprovals
from trunkline.contracts.dispatch import ReportWorkflowRun, WorkflowRun
from trunkline.contracts.dispatch_views import DispatchPage, DispatchView, ListDispatches
from trunkline.contracts.ids import TenantId, Token
from trunkline.contracts.letters import LetterHandled, LetterKind, LetterName
from trunkline.contracts.message import Accepted, Command, Message
from trunkline.contracts.record import Record
from trunkline.contracts.usage import GetUsage, UsageView
from trunkline.contracts.view_rows import ReadRows, RowsRead
from trunkline.contracts.views import GetTrace, ListTasks, TaskCounts, TaskPage, TaskView, TraceView
from trunkline.contracts.webhook import DeliveryPage, DeliveryView, Hook, HookRecord, ListDeliveries
from trunkline_relay.model.changes import Changes
from trunkline_relay.model.letters import Done, GivenUp
from trunkline_relay.model.run_matching import Listed
from trunkline_relay.model.trying import Attempt


class Stored(Protocol):
    """One message of the log, with the bytes that it was written in."""

    @property
    def seq(self) -> int: ...

    @property
    def subject(self) -> str: ...

    @property
    def body(self) -> bytes: ...

    @property
    def trace(self) -> str:
        """The `traceparent` that it was stored with; empty: none."""
        ...


class Log(Protocol):
    """Everything that happened, in one order."""

    def follow(self, after: int) -> AsyncIterator[Stored]:
        """Every message with a sequence beyond `after`, in order, for ever, none skipped."""
        ...

    async def last_seq(self) -> int:
        """The sequence of the last message there is now, 0 when there is none. Raises DomainError when nobody knows."""
        ...


class Recorded(Stored, Protocol):
    """A message of the log whose record is read from bytes when asked for."""

    @property
    def record(self) -> Record: ...


class History(Protocol):
    """Everything that happened, byte for byte."""

    def follow(self, after: int) -> AsyncIterator[Recorded]:
        """Every message with a sequence beyond `after`, in order, for ever, none skipped."""
        ...

    def already(self, after: int) -> AsyncIterator[Recorded]:
        """The same, up to what is there at this moment."""
        ...

    async def ends(self) -> tuple[int, int]:
        """The first and the last sequence now; of a log that holds nothing any more, the first lies beyond the last. Raises DomainError."""
        ...


class Dispatches(Protocol):
    """The newest view of every dispatch."""

    def dispatch(self, tenant: str, task: str) -> DispatchView | None:
        """Of a task of a tenant."""
        ...

    def dispatches(self, query: ListDispatches) -> DispatchPage: ...

    def dispatch_of_run(self, tenant: str, repo: str, run_id: int) -> DispatchView | None:
        """Whose run it is; None where nobody knows yet."""
        ...

    def open_dispatches(self, tenant: str, repo: str) -> Sequence[DispatchView]:
        """Those that were accepted, or may have been, and whose run nobody has seen."""
        ...


class Views(Dispatches, Protocol):
    """The newest view of everything, and how far in the log that is."""

    @property
    def checkpoint(self) -> int:
        """The last sequence that these views hold."""
        ...

    def task(self, tenant: str, name: str) -> TaskView | None:
        """The task of a tenant, by id or by alias."""
        ...

    def task_text(self, tenant: str, name: str) -> str | None:
        """As `task`, as it is kept: a TaskView in JSON, without what has its default."""
        ...

    def tasks(self, query: ListTasks) -> TaskPage:
        """The tasks of a tenant that match, in the order asked for. Raises Invalid for a cursor of another order."""
        ...

    def rows(self, query: ReadRows) -> RowsRead:
        """Rows of one view as they lie there."""
        ...

    def counts(self) -> TaskCounts:
        """Over all tenants; costs the same however many tasks there are."""
        ...

    def approval(self, tenant: str, task: str, name: str) -> ApprovalView | None:
        """One approval of a task of a tenant, by its name within the task."""
        ...

    def approvals(self, query: ListApprovals) -> ApprovalPage:
        """The approvals of a tenant that match. Raises Invalid for a cursor of another order."""
        ...

    def trace(self, query: GetTrace) -> TraceView:
        """What carries the trace id; empty when nothing does."""
        ...

    def usage(self, query: GetUsage) -> UsageView:
        """What the models of a tenant cost, the newest day first."""
        ...

    def keep(self, changes: Changes, checkpoint: int) -> None:
        """Replace views and move the checkpoint, both or neither."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A webhook, and the sequence of the record that says so."""

    hook: Hook
    seq: int


@dataclass(frozen=True, slots=True)
class Kept:
    """A delivery, the sequence of the record that says so, and the `traceparent` that it was stored with."""

    delivery: DeliveryView
    seq: int
    trace: str = ""


class Hooks(Protocol):
    """Every webhook of the installation."""

    def get(self, tenant: str, hook_id: str) -> Known | None:
        """As this replica knows it; None for one that is deleted."""
        ...

    async def load(self, tenant: str, hook_id: str) -> Known | None:
        """As it is; one that is deleted too. Raises Unavailable."""
        ...

    def of(self, tenant: str) -> Sequence[Hook]:
        """All of a tenant that are not deleted, as this replica knows them."""
        ...

    def anybody(self, tenant: str) -> bool:
        """Whether the tenant has any that is not deleted."""
        ...

    def none(self) -> bool:
        """Whether nobody has."""
        ...

    def concerned(self, tenant: str, submitter: str) -> Sequence[Hook]:
        """Those that may hear of what this subject submitted: its own, and those of the whole tenant.

        What it costs does not depend on how many others have.
        """
        ...

    async def settled(self) -> None:
        """Returns once this replica knows everything that was stored before. Raises Unavailable."""
        ...

    async def append(self, record: HookRecord, expect: int, id: str) -> Known:
        """Raises Raced, Unavailable."""
        ...

    def seal(self, tenant: str, hook_id: str, secret: str) -> str:
        """Raises Unsupported NO_VAULT_KEY."""
        ...

    def opened(self, hook: Hook, sealed: str) -> str | None:
        """None when it was sealed with another key."""
        ...


class DeadFound(NamedTuple):
    """What a look at many deliveries came to, and how far it went."""

    found: Sequence[Kept]
    next: str | None
    """Where it goes on; None: this is all."""
    reached: datetime | None
    """No delivery beyond it changed later. None: nobody knows."""


class Deliveries(Protocol):
    """What is on its way, and what became of it."""

    async def append(self, delivery: DeliveryView, expect: int) -> int:
        """Raises Raced, Unavailable."""
        ...

    async def load(self, tenant: str, hook_id: str, delivery_id: str) -> Kept | None: ...

    async def page(self, query: ListDeliveries) -> DeliveryPage:
        """What changed last first. Raises Invalid BAD_CURSOR."""
        ...

    async def dead(self, query: ListDeliveries) -> DeadFound:
        """Those of any webhook of the tenant that stand as asked for, what changed last first. Raises Invalid."""
        ...


class LetterBook(Protocol):
    """What lies in the stream DEAD: letters, and what somebody did about any."""

    async def settled(self) -> None:
        """Returns once everything that was stored before is known here. Raises Unavailable."""
        ...

    def given_up(self, tenant: str, kind: LetterKind, before: int | None, limit: int) -> Sequence[GivenUp]:
        """The newest first, of those with a lesser sequence than `before`."""
        ...

    def count(self, tenant: str, kind: LetterKind) -> int: ...

    def find(self, tenant: str, name: LetterName) -> GivenUp | None: ...

    def done(self, tenant: str, name: LetterName) -> LetterHandled | None:
        """As it is known here."""
        ...

    def handled(self, tenant: str, kind: LetterKind, most: int) -> Sequence[LetterHandled]:
        """What somebody did about letters of a kind: of each the newest, at most so many."""
        ...

    async def letter(self, given_up: GivenUp) -> DeadLetter | None:
        """The whole of it. Raises Unavailable."""
        ...

    async def load(self, tenant: str, name: LetterName) -> Done | None:
        """As it is. Raises Unavailable."""
        ...

    async def append(self, tenant: str, record: LetterHandled, expect: int) -> int:
        """Raises Raced, Unavailable."""
        ...


class Owners(Protocol):
    """Whoever else carries something out."""

    async def send(self, service: str, id: str, command: Command, *, timeout: float = 10.0) -> Accepted:
        """Raises what the owner refuses with, or Unavailable."""
        ...


class Names(Protocol):
    """The names of hosts."""

    async def addresses(self, host: str) -> Sequence[str]:
        """All that it has at this moment; none when there is no such name, or nobody says so in time."""
        ...


class Timers(Protocol):
    async def set(self, name: str, id: str, at: datetime, target: tuple[str, str], body: BaseModel) -> None:
        """Setting the same name and id again replaces it."""
        ...


class Subscribers(Protocol):
    """Whoever is told."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Never raises for what the other side does."""
        ...


class DueDispatch(Message):
    """One dispatch; what a timer about it carries."""

    tenant: Token
    task: Token
    attempt: int
    look: int = 0
    """How often it was looked at in a row: the pauses grow by that."""


class DispatchEar(Protocol):
    """What is heard of tasks that workflows carry out, and of their runs."""

    async def task_news(self, stored: InLog) -> None: ...

    async def due(self, due: DueDispatch) -> None: ...

    async def report(self, wish: ReportWorkflowRun) -> Accepted: ...

    async def list(self, query: ListDispatches) -> Accepted: ...


@dataclass(frozen=True, slots=True)
class Start:
    """What GitHub is asked, in its own words; the key is in the payload, and nowhere else."""

    repo: str
    event_type: str
    payload: Mapping[str, str]
    installation_id: int | None = None

    def __repr__(self) -> str:
        return f"Start({self.repo}, {self.event_type})"


class Workflows(Protocol):
    """GitHub, as far as workflows go. Raises DomainError; `details["outcome"]` is an Outcome, `details["status"]` what GitHub answered,
    `details["retry_after"]` seconds."""

    async def start(self, wish: Start) -> None:
        """Returns when GitHub accepted it. Never sent twice by itself."""
        ...

    async def run(self, repo: str, run_id: int, installation_id: int | None) -> WorkflowRun:
        """Raises NotFound for one of another event, too."""
        ...

    async def runs(self, repo: str, since: datetime, installation_id: int | None) -> Listed:
        """Of the event repository_dispatch, created at `since` or later: GitHub shows a thousand at most."""
        ...

    async def cancel(self, repo: str, run_id: int, installation_id: int | None) -> None:
        """Returns when GitHub accepted it, or the run is over already."""
        ...


class DispatchTimers(Protocol):
    """One timer for each dispatch: setting it again moves it."""

    async def set(self, due: DueDispatch, at: datetime) -> None: ...


class Revocations(Protocol):
    """What counts no more, at every gateway."""

    async def revoke_token(self, token: Credential, until: float) -> None: ...


class Letters(Protocol):
    """Where lies what was given up on."""

    async def keep(self, letter: DeadLetter, tenant: TenantId, id: str) -> None:
        """The same `id` again keeps one."""
        ...

    async def send_again(self, subject: str, body: bytes, id: str) -> int:
        """Ask for another try of a timer or of work. Raises Unavailable."""
        ...
