"""What the orchestrator surface answers, as far as people are shown it; text of strangers is clean as soon as it is read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, JsonValue, ValidationError

from trunkline_cli.exact import Exactly
from trunkline_cli.plain import Plain, plain


def clean(value: JsonValue) -> JsonValue:
    """The same with every text in it clean, names of fields included. Pure."""
    match value:
        case str():
            return plain(value)
        case list():
            return [clean(each) for each in value]
        case dict():
            return {plain(name): clean(each) for name, each in value.items()}
        case _:
            return value


def _clean_object(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {plain(name): clean(each) for name, each in value.items()}


PlainObject = Annotated[dict[str, JsonValue], AfterValidator(_clean_object)]
OVER: Final = ("completed", "failed", "cancelled")


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskShown(_Read):
    """A task in a list."""

    task_id: Plain
    type: Plain | None = None
    """None: a job on a repository, which has no such word."""
    status: Plain = ""
    priority: Plain = ""
    assigned_agent: Plain | None = None
    created_by: Plain | None = None
    created_at: datetime
    approval_status: Plain | None = None

    @property
    def held(self) -> bool:
        """Whether it waits for somebody's word."""
        return self.approval_status == "pending" and self.status not in OVER


class Page(_Read):
    """`total` counts all that match; None: nobody did."""

    total: int | None = None
    next_cursor: str | None = None


class TaskPage(Page):
    tasks: tuple[TaskShown, ...] = ()


class AboutShown(_Read):
    """What would be done, as far as a list tells."""

    tool: Exactly = ""
    argument: Exactly = ""


class ApprovalShown(_Read):
    """An approval in a list."""

    approval_id: Plain
    task_id: Plain = ""
    priority: Plain | None = None
    subject: Plain = ""
    reason: Plain = ""
    """The rules that asked for it."""
    kind: Plain = ""
    about: AboutShown | None = None
    status: Plain = ""
    requested_by: Plain = ""
    requested_at: datetime
    expires_at: datetime | None = None
    votes: int = 0
    """How many have said yes so far."""
    quorum: int = 1
    decided_by: Plain | None = None
    decided_at: datetime | None = None
    decision_reason: Plain | None = None
    approved_by: Plain | None = None
    rejected_by: Plain | None = None

    @property
    def what(self) -> str:
        """What is to be allowed: the call of a tool as it would run, else a sentence."""
        if self.about and self.about.tool:
            return f"{self.about.tool}: {self.about.argument}"
        return self.subject or self.reason

    @property
    def decider(self) -> str:
        return self.approved_by or self.rejected_by or ""


class PendingPage(Page):
    approvals: tuple[ApprovalShown, ...] = ()


class HistoryPage(Page):
    history: tuple[ApprovalShown, ...] = ()


class Used(_Read):
    """One model on one day."""

    day: Plain
    model: Plain | None = None
    requests: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    estimated: bool = False


class Spent(_Read):
    """What the models of one task cost, and what they may; None: not known, and of the limit any amount, or nobody said."""

    usd: float | None = None
    limit_usd: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    priced: bool = True
    """Whether `usd` is more than a guess for the budget's sake."""

    def plus(self, answered: JsonValue) -> Spent:
        """With one more answer of a model; the same where it is none. Pure."""
        try:
            one = Spent.model_validate(answered)
        except ValidationError:
            return self
        return Spent(
            usd=(self.usd or 0.0) + (one.usd or 0.0),
            limit_usd=one.limit_usd,
            input_tokens=(self.input_tokens or 0) + (one.input_tokens or 0),
            output_tokens=(self.output_tokens or 0) + (one.output_tokens or 0),
            priced=self.priced and one.priced,
        )

    @property
    def told(self) -> str:
        if self.usd is None and self.input_tokens is None and self.output_tokens is None:
            return "Not known: no model was asked on a way that Trunkline counts."
        cost = f"{self.usd:,.4f}" if self.usd is not None and self.priced else "?"
        limit = f" of {self.limit_usd:,.4f}" if self.limit_usd else ""
        return f"US$ {cost}{limit} for models ({self.input_tokens or 0:,} tokens in, {self.output_tokens or 0:,} out)"


class TaskSpent(_Read):
    task_id: Plain = ""
    spent: Spent = Spent()


class UsageList(_Read):
    usage: tuple[Used, ...] = ()
    cost_usd: float = 0.0


class TaskEvent(_Read):
    """One event of a task's stream; what Trunkline itself says has no `published_by`."""

    event_type: Plain
    timestamp: datetime
    payload: PlainObject = {}
    source_agent: Plain = ""
    published_by: Plain = ""

    def word(self, name: str) -> str:
        """A field of the payload as text; no text where it is not there."""
        value = self.payload.get(name)
        return "" if value is None else str(value)
