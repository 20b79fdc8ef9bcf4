"""What the orchestrator document lets a client send, field by field, with its spellings."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue
from pydantic_core import PydanticCustomError

from trunkline.contracts.steering import MOST_QUEUED, MOST_TEXT
from trunkline_gateway.dialects.orchestrator import names, patterns
from trunkline_gateway.usecases import vaulted
from trunkline_gateway.usecases.replay import Speed
from trunkline_gateway.usecases.terms import LEAST_USD, MOST_RULES, MOST_USD

YEAR: Final = 31_536_000
"""Seconds."""
MOST_DELAY: Final = 30 * 86_400
REASON: Final = 1024
"""Characters."""
ERROR: Final = 4096
MOST_ANSWER: Final = 64 << 10
"""Characters."""

BODY: Final = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
"""Types are not guessed; an unknown field is refused, for it may be one of ours, misspelt; no value gets into an error."""
OPEN: Final = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
"""Of an object of the caller's own, only what we understand is looked at."""
LOOSE: Final = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
"""Of headers, of a path, and of a query where names that it does not know are passed over: the lists that the document has do so."""
QUERY: Final = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)
"""`?raeson=` would reject without a reason, `?aftr=` tell everything again, `?limt=` list everything: the route refuses them."""

_DIGITS: Final = re.compile(r"-?[0-9]+")

Source = Literal["github", "faq", "ops", "dev", "user", "system", "webhook", "api", "agent"]
Urgency = Literal["P0", "P1", "P2", "P3"]
EventUrgency = Literal["P0", "P1", "P2", "P3", "low", "medium", "high", "critical"]
Report = Literal["in_progress", "completed", "failed"]
Sort = Literal["-created_at", "created_at", "-updated_at", "priority"]
RoleName = Literal["admin", "agent", "approver", "user"]


def digits(value: object) -> object:
    """As it stands in a query: pydantic would take `5_0`, `1.0` and a space before it too."""
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise PydanticCustomError("int_parsing", "must be a whole number, such as 20")
    return value


def whole(value: object) -> object:
    """JSON knows one kind of number: 60.0 is 60."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


TraceName = Annotated[str, Field(pattern=names.TRACE)]
Text = Annotated[str, Field(min_length=1, max_length=128)]
Reason = Annotated[str, Field(max_length=REASON)]
Seconds = Annotated[int, Field(ge=1, le=YEAR), BeforeValidator(whole)]
Whole = Annotated[int, BeforeValidator(digits)]
Seal = Annotated[str, Field(max_length=1024)]
Object = dict[str, JsonValue]


class Labelled(BaseModel):
    """What callers call themselves: taken, for older clients send it, and worth nothing beside the credential."""

    model_config = BODY

    source_agent: Text | None = None
    """A label; it gives no right."""
    user_id: Text | None = None
    """A label; it gives no right."""
    userId: Text | None = None
    """The same as `user_id`."""


class RuleBody(BaseModel):
    """Which calls of a run are meant. `*` stands for any text and `?` for one character."""

    model_config = BODY

    tool: Annotated[str, Field(min_length=1, max_length=200)]
    """The agent's own name of it."""
    argument: Annotated[str, Field(min_length=1, max_length=2000, examples=["make *"])]
    """Of its argument that says most: the command, the path. `*` means every call of the tool."""


class TaskRuleBody(RuleBody):
    """A rule of one task. It adds to the rules of the settings and never weakens one."""

    then: Literal["ask", "deny"]
    """A task cannot allow what the settings do not."""
    reason: Annotated[str, Field(max_length=1000)] | None = None
    """Told to the agent with a denial, and to people with a question."""


Budget = Annotated[float, Field(ge=LEAST_USD, le=MOST_USD, allow_inf_nan=False)]
TaskRules = Annotated[list[TaskRuleBody], Field(max_length=MOST_RULES)]


class TaskBody(Labelled):
    """POST /tasks."""

    created_by: Text | None = None
    """A label; who asked is known from the credential."""
    type: Annotated[str, Field(min_length=1, max_length=64, examples=["bugfix", "deployment", "documentation"])]
    """As the routing table has it; the names of the document unless it was configured otherwise."""
    payload: Object
    priority: Urgency | None = None
    """Null and nothing mean P2."""
    source: Source | None = None
    """Null and nothing mean user."""
    sla_target: Seconds | Annotated[str, Field(pattern=patterns.SECONDS)] | None = None
    """Seconds, as a number or as text."""
    sla_deadline: Annotated[str, Field(max_length=64)] | None = None
    """The older form: an ISO time in the future. Beside `sla_target` it must say the same, to a minute."""
    metadata: Object | None = None
    start_at: Annotated[str, Field(max_length=64)] | None = None
    """An ISO time, at most 30 days ahead: nobody may take it before. What has passed means now."""
    delay: Annotated[int, Field(ge=0, le=MOST_DELAY), BeforeValidator(whole)] | None = None
    """Seconds, the same counted from now."""
    trace_id: TraceName | None = None
    parent_task_id: Annotated[str, Field(max_length=64)] | None = None
    max_retries: Annotated[int, Field(ge=0, le=10), BeforeValidator(whole)] | None = None
    budget_usd: Budget | None = None
    """What its models may cost before somebody is asked, in US dollars. Beyond the one of the settings it changes nothing."""
    tool_rules: TaskRules | None = None
    """Which of its agent's calls are asked about or denied, on top of the settings; the strictest that fits counts."""


class TaskMetadata(BaseModel):
    """What is understood of the `metadata` of a task; all of it is kept."""

    model_config = OPEN

    trace_id: TraceName | None = None
    parent_task_id: Annotated[str, Field(max_length=64)] | None = None
    max_retries: Annotated[int, Field(ge=0, le=10), BeforeValidator(whole)] | None = None
    executor: Literal["sandbox", "github_workflow"] | None = None
    """Who is to carry it out, whatever the settings say of its type: an agent of ours, or one in the repository's own workflow."""


class TaskPath(BaseModel):
    model_config = LOOSE

    task_id: Annotated[str, Field(pattern=names.TASK, examples=["task_01a1fe1a15477676b883dd25f2dda5a4"])]
    """`task_` and 32 hex digits; the digits alone, or as a UUID, are taken too."""


class ApprovalPath(BaseModel):
    model_config = LOOSE

    approval_id: Annotated[str, Field(pattern=names.APPROVAL, examples=["approval_01a1fe1a15477676b883dd25f2dda5a4"])]
    """`approval_` and the digits of the task; behind it the name of the approval, unless it is the one that lets the task begin."""


class MessagePath(TaskPath):
    message_id: Annotated[str, Field(pattern=patterns.MESSAGE, examples=["01a1fe1a15477676b883dd25f2dda5a5"])]


class TracePath(BaseModel):
    model_config = LOOSE

    trace_id: TraceName


class TaskListQuery(BaseModel):
    """GET /tasks. Several words of a field stand between commas."""

    model_config = QUERY

    status: Annotated[str, Field(pattern=patterns.STATUSES, max_length=128)] | None = None
    type: Annotated[str, Field(pattern=patterns.TYPES, max_length=1024)] | None = None
    priority: Annotated[str, Field(pattern=patterns.PRIORITIES, max_length=64)] | None = None
    assigned_agent: Text | None = None
    assigned_to: Text | None = None
    """The same as `assigned_agent`."""
    source: Source | None = None
    parent_task_id: Annotated[str, Field(pattern=names.TASK)] | None = None
    trace_id: TraceName | None = None
    created_by: Text | None = None
    created_after: Annotated[str, Field(max_length=64)] | None = None
    """An ISO time; tasks of that moment are in."""
    created_before: Annotated[str, Field(max_length=64)] | None = None
    """An ISO time; tasks of that moment are not in."""
    sort: Sort = "-created_at"
    limit: Annotated[Whole, Field(ge=1, le=100)] = 20
    cursor: Seal | None = None
    """`next_cursor` of the page before, for the same filters and order."""


class StatusQuery(BaseModel):
    """PATCH /tasks/{task_id}/status."""

    model_config = QUERY

    status: Report | None = None
    error: Annotated[str, Field(max_length=ERROR)] | None = None


class StatusBody(Labelled):
    """The same as the query, for clients that send a body."""

    status: Report | None = None
    error: Annotated[str, Field(max_length=ERROR)] | None = None


class ReasonQuery(BaseModel):
    model_config = QUERY

    reason: Reason | None = None


class CancelBody(Labelled):
    """POST /tasks/{task_id}/cancel."""

    reason: Reason | None = None


class MessageBody(Labelled):
    """POST /tasks/{task_id}/messages, and PATCH of one of them."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    """At most 128 KiB of UTF-8. Secrets in it are struck out before anybody sees it."""


class OrderBody(Labelled):
    """PUT /tasks/{task_id}/messages/order."""

    message_ids: Annotated[list[Annotated[str, Field(pattern=patterns.MESSAGE)]], Field(max_length=MOST_QUEUED)]
    """Every message that waits, in the order in which the agent is to take them."""


class NothingBody(Labelled):
    """POST /tasks/{task_id}/interrupt, /pause and /resume; none is needed."""


class ContinueBody(Labelled):
    """POST /tasks/{task_id}/continue."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
    """What is to be done next; at most 128 KiB of UTF-8."""
    budget_usd: Budget | None = None
    """The new task has the budget of the earlier one, or this if it is smaller."""
    tool_rules: TaskRules | None = None
    """On top of the rules of the earlier task."""


class TokenHeaders(BaseModel):
    """On what makes a task with a repository."""

    token: Annotated[
        str | None,
        Field(
            alias="X-GitHub-Token",
            pattern=vaulted.PATTERN,
            description="Your own token for the repository. Kept sealed until the task ends, and never shown again.",
        ),
    ] = None


class ForkBody(ContinueBody):
    """POST /tasks/{task_id}/fork."""

    from_: Annotated[str | None, Field(alias="from", max_length=64)] = None
    """An event id of the task: the newest snapshot at or before it is taken. By default the newest of all."""


class FeedQuery(BaseModel):
    """GET /tasks/{task_id}/events."""

    model_config = QUERY

    after: Annotated[str, Field(max_length=64)] | None = None
    """An event id, or no text for the beginning."""
    lastEventId: Annotated[str, Field(max_length=64)] | None = None
    """The same, as browsers that polyfill call it."""
    from_: Annotated[str | None, Field(alias="from", max_length=64)] = None
    """The event to begin with, by its id. `Last-Event-ID` and the two above win, so that a reader that comes back goes on."""
    speed: Speed | None = None
    """A stream at its own pace: so many times as fast as it happened. A pause counts as 60 s at most."""
    limit: Annotated[Whole, Field(ge=1, le=1000)] | None = None


class TraceQuery(BaseModel):
    model_config = QUERY

    limit: Annotated[Whole, Field(ge=1, le=200)] = 100
    """Of tasks, and of events."""


class UsageQuery(BaseModel):
    """GET /usage."""

    model_config = QUERY

    since: Annotated[str, Field(pattern=patterns.DAY)] | None = None
    """A day (UTC), `2025-10-22`; by default 29 days before the last."""
    until: Annotated[str, Field(pattern=patterns.DAY)] | None = None
    """The last day; by default today."""


class EventBody(BaseModel):
    """POST /events/publish."""

    model_config = BODY

    event_type: Annotated[str, Field(pattern=names.EVENT, max_length=128)]
    source_agent: Text
    """What the sender calls itself; it gives no right."""
    payload: Object | None = None
    task_id: Annotated[str, Field(max_length=64)] | None = None
    trace_id: TraceName | None = None
    priority: EventUrgency | None = None


class DecisionBody(Labelled):
    """POST /approvals/{approval_id}/reject, and the most of /approve; none is needed."""

    reason: Reason | None = None
    digest: Annotated[str, Field(pattern=patterns.DIGEST)] | None = None
    """Of what was shown: a decision on anything else is refused."""


class ApproveBody(DecisionBody):
    """POST /approvals/{approval_id}/approve. What a yes may hold beyond yes is what `about.offers` of the approval names."""

    scope: Literal["once", "run"] | None = None
    """`run`: every call of this run that the rule fits; without a rule, those with exactly this argument. Null and nothing mean once."""
    rule: RuleBody | None = None
    """With the scope `run`: which calls."""
    input: Object | None = None
    """What is to run instead of what was asked."""
    usd: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """How much more may be spent, where a budget is asked about."""
    answer: Annotated[str, Field(min_length=1, max_length=MOST_ANSWER)] | None = None
    """What is told to the agent, where it asks people for their input. Secrets in it are struck out."""


class PendingQuery(BaseModel):
    model_config = LOOSE

    limit: Annotated[Whole, Field(ge=1, le=1000)] = 1000
    cursor: Seal | None = None


class HistoryQuery(BaseModel):
    model_config = LOOSE

    limit: Annotated[Whole, Field(ge=1, le=1000)] = 100
    cursor: Seal | None = None


class MintBody(BaseModel):
    """POST /auth/token."""

    model_config = BODY

    user_id: Text
    role: RoleName
    secret: Annotated[str, Field(max_length=1024)] | None = None
    """The configured secret; the header X-Orchestrator-Secret says the same."""
    tenant: Annotated[str, Field(pattern=patterns.TENANT)] | None = None
    expires_in: Seconds | None = None
    """Seconds."""


class RevokeBody(BaseModel):
    """POST /auth/revoke: one token or API key, or all of a subject."""

    model_config = BODY

    token: Annotated[str, Field(min_length=1, max_length=8192)] | None = None
    user_id: Text | None = None


class SecretHeaders(BaseModel):
    """The proof of POST /auth/token, for clients that keep it out of bodies."""

    model_config = LOOSE

    secret: Annotated[str, Field(max_length=1024)] | None = Field(None, alias="X-Orchestrator-Secret")


class FeedHeaders(BaseModel):
    """Where a reader that comes back goes on."""

    model_config = LOOSE

    last: Annotated[str, Field(max_length=64)] | None = Field(None, alias="Last-Event-ID")
