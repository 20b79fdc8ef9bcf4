"""What agents on NATS and the control plane say to each other: bodies of requests and of answers, every one JSON.

Who asks stands in the subject (`agent.<tenant>.<name>.<verb>`), which nats-server vouches for, and nowhere in a body.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field, JsonValue

from trunkline.contracts.ids import Token
from trunkline.contracts.message import EMPTY, JsonObject, Message
from trunkline.contracts.task import Moved, Priority, StopCause

LEASE_S: Final = 15.0
"""Seconds without a beat after which a task is somebody else's; an agent beats three times as often."""
MOST_WAIT_S: Final = 20.0
"""Seconds for which a claim or a question about an answer may wait; whoever asks waits `ANSWERED_WITHIN_S` more."""
ANSWERED_WITHIN_S: Final = 10.0
MOST_POOLS: Final = 8
MOST_TYPES: Final = 64
MOST_ROOM: Final = 64
"""Tasks that one claim takes at most."""
MOST_LEASES: Final = 1024
"""Of one session."""
MOST_ITEMS: Final = 64
"""Of one `say`."""
MOST_TEXT: Final = 32 << 10
"""Characters of one text or artifact."""
MOST_LINE: Final = 500
"""Characters of what is one line to people: a title, a progress."""
MOST_SAID: Final = 256 << 10
"""Bytes of one request, unread; of a `say`, those that are stored. A report may be larger, by what stands around its result."""
MOST_RESULT: Final = 256 << 10
"""Bytes of a result as JSON."""
MOST_REQUEST: Final = 512 << 10
"""Bytes of any request: more than this nats-server takes from no agent."""
MOST_SPOKEN: Final = 8 << 20
"""Bytes that one lease may say in all, as each replica of the router counts them."""
MOST_ASKED: Final = 100
"""Questions of one task."""
MOST_ABOUT: Final = 32 << 10
"""Bytes, as JSON, of what people are shown beside a question."""

WRAPPED: Final = ("report", "say")
"""Verbs whose contents have a bound of their own, beside which there is room for how they are written."""


def most_of(verb: str) -> int:
    """Bytes of one request."""
    return MOST_REQUEST if verb in WRAPPED else MOST_SAID


Named = Annotated[str, Field(min_length=1, max_length=200)]
Line = Annotated[str, Field(max_length=MOST_LINE)]


class Held(Message):
    """A task in somebody's hands: `lease` is the fence that every write about it carries."""

    task_id: Token
    lease: Token


class Claim(Message):
    """Give me work. Waits at most `wait_s` for the first task; a later claim of the same session ends an earlier one that waits."""

    pools: tuple[Token, ...] = Field(min_length=1, max_length=MOST_POOLS)
    room: int = Field(default=1, ge=0, le=MOST_ROOM)
    """How many tasks; 0 ends an earlier claim and takes nothing."""
    wait_s: float = Field(default=MOST_WAIT_S, ge=0, le=MOST_WAIT_S)
    types: tuple[Named, ...] = Field(default=(), max_length=MOST_TYPES)
    """Empty: any. What is of another type goes back to the pool."""
    session: Token
    """A random name of this process of the agent."""
    holding: tuple[Held, ...] = Field(default=(), max_length=MOST_LEASES)
    """What the session knows to be its own; what was leased to it besides, whose answer was lost, is told again."""
    begin: bool = False
    """What is given has begun with that: nobody need report `started`."""


class Leased(Held):
    """One task, and all that an agent needs to do it."""

    attempt: int
    until: datetime
    """The lease is over then, unless a beat comes before."""
    type: str
    pool: str
    priority: Priority
    payload: JsonObject = EMPTY
    prompt: str = ""
    repo: str = ""
    branch: str = ""
    metadata: JsonObject = EMPTY
    submitted_by: str = ""
    deadline_at: datetime
    trace_id: str = ""
    traceparent: str = ""
    """W3C: what is done under this lease is this span, whose id it has, and what the agent itself tells elsewhere is below it."""
    begun: bool = False
    """As the claim wished: it is under way, and `started` need not be reported."""


class Claimed(Message):
    """The answer to a claim: no task is an answer too."""

    tasks: tuple[Leased, ...] = ()
    lease_s: float = LEASE_S


class Beat(Message):
    """I am alive and work on these."""

    session: Token
    leases: tuple[Held, ...] = Field(default=(), max_length=MOST_LEASES)


class Word(StrEnum):
    """How it stands with one lease."""

    GOING = "going"
    LOST = "lost"
    """It is somebody else's, or over: drop it, and say nothing more about it."""
    STOP = "stop"
    """End the work, and report `stopped`."""


class Stop(Message):
    """Why the work is to end."""

    cause: StopCause
    by: str
    reason: str = ""


STOP: Final = "stop"
"""What an agent is told at once, as `told.<tenant>.<name>.stop`, with a Stopping."""


class Stopping(Held, Stop):
    """The work on one task is to end, as its next beat says too."""


class Pulse(Held):
    """How it stands with one lease."""

    word: Word
    until: datetime | None = None
    stop: Stop | None = None


class Beaten(Message):
    """The answer to a beat, in the order of its leases."""

    leases: tuple[Pulse, ...] = ()
    lease_s: float = LEASE_S


class Progress(Message):
    kind: Literal["progress"] = "progress"
    fraction: float | None = Field(default=None, ge=0, le=1)
    text: Line = ""


class Text(Message):
    kind: Literal["text"] = "text"
    text: str = Field(min_length=1, max_length=MOST_TEXT)
    is_error: bool = False


class Artifact(Message):
    """Something made: a text, a JSON value, or the address of what is elsewhere."""

    kind: Literal["artifact"] = "artifact"
    name: Named
    media_type: str = Field(default="text/plain", max_length=127)
    text: str = Field(default="", max_length=MOST_TEXT)
    value: JsonValue = None
    url: str = Field(default="", max_length=2000)


Item = Annotated[Progress | Text | Artifact, Field(discriminator="kind")]


class AgentReported(StrEnum):
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    """The work ended because it was to be stopped."""
    RELEASED = "released"
    """Handed back: the task waits for an agent again, at once, and the attempt does not count."""


class Report(Held):
    """How the task goes. Saying the same again changes nothing."""

    reported: AgentReported
    code: str = Field(default="", max_length=64, pattern=r"^[A-Z0-9_]*$")
    """Of a failure, in the agent's word; empty: AGENT_FAILED."""
    error: str = Field(default="", max_length=4000)
    mendable: bool = True
    """Of a failure: another attempt may do better."""
    result: JsonValue = None
    """What came out of it; readers of the task see it."""
    said: tuple[Item, ...] = Field(default=(), max_length=MOST_ITEMS)
    """What the work said last, stored before the report is: as by a `say`, without asking twice. Of a report that is repeated, once."""


class Say(Held):
    """What the work says, in order. The same `id` again says nothing."""

    id: Token
    items: tuple[Item, ...] = Field(min_length=1, max_length=MOST_ITEMS)


class _Question(Held):
    id: Token
    """The handler's own name of the question within the task: asked again, also by a later attempt, it is the same question."""
    about: JsonObject = EMPTY
    """What people are shown beside it, and what the rules of approval go by."""
    expires_s: float | None = Field(default=None, gt=0, le=30 * 86400)
    """Earlier than the policy says; never later."""


class Ask(_Question):
    """A question that people answer in words."""

    question: str = Field(min_length=1, max_length=8000)


class Approve(_Question):
    """May I do this? What is answered holds for exactly this title and these details."""

    title: str = Field(min_length=1, max_length=MOST_LINE)


class Asked(Message):
    """The answer to `ask` and `approve`: the question is open; `answer` tells how it is decided."""

    approval_id: str
    id: str


class Answer(Held):
    """How was it decided? Waits at most `wait_s` for that."""

    id: Token
    wait_s: float = Field(default=MOST_WAIT_S, ge=0, le=MOST_WAIT_S)


class AnswerStatus(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    """Of an `ask`: it was answered, in `answer`."""
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Nobody decided in time."""
    WITHDRAWN = "withdrawn"
    """Nobody will decide."""


class Answered(Message):
    """How a question stands."""

    approval_id: str
    status: AnswerStatus
    answer: str = ""
    by: str = ""
    reason: str = ""


class Publish(Message):
    """Tell everybody about something. The same `event_id` again says it once."""

    event_id: Token
    event_type: str = Field(min_length=1, max_length=128, pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$")
    task_id: Token | None = None
    source: str = Field(default="", max_length=200)
    payload: JsonObject = EMPTY
    trace_id: str | None = Field(default=None, max_length=128)
    priority: Priority | None = None


class Submit(Held):
    """Another task, as a part of the one that is held. The same `id` again makes it once."""

    id: Token
    type: Named
    payload: JsonObject = EMPTY
    metadata: JsonObject = EMPTY
    prompt: str = Field(default="", max_length=MOST_TEXT)
    repo: str = Field(default="", max_length=200)
    branch: str = Field(default="main", min_length=1, max_length=200)
    priority: Priority = Priority.P2
    max_retries: int = Field(default=1, ge=0, le=10)
    deadline_s: float = Field(default=3600, gt=0, le=30 * 86400)


class SubmittedPart(Message):
    """The answer to `submit`."""

    task_id: str
    pool: str
    status: str


class Follow(Message):
    """What happened to one task that the agent may look at, from a cursor on. Waits at most `wait_s` for the first."""

    task_id: Token
    after: str = Field(default="", max_length=64)
    """The cursor of the last event that was seen; empty: from the beginning."""
    wait_s: float = Field(default=MOST_WAIT_S, ge=0, le=MOST_WAIT_S)
    most: int = Field(default=100, ge=1, le=256)


class Happened(Message):
    """One fact at its place on the timeline."""

    cursor: str
    at: datetime
    part: str
    fact: JsonObject


class Followed(Message):
    """The answer to `follow`: none is an answer too."""

    events: tuple[Happened, ...] = ()
    cursor: str = ""
    """To go on from."""
    gap: bool = False
    """What lies between the cursor asked for and the first event is no longer kept."""


ANSWERS: Final[Mapping[str, type[Message]]] = {
    "claim": Claimed,
    "beat": Beaten,
    "report": Moved,
    "ask": Asked,
    "approve": Asked,
    "answer": Answered,
    "submit": SubmittedPart,
    "follow": Followed,
}
"""What is in the body of an answer, by verb; nothing, where a verb is not named."""
