"""What an omni client sends and reads, field by field, with the spellings of its document."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, RootModel

from trunkline_gateway.usecases.replay import Speed

LONGEST_NAME: Final = 1024
MOST_TOPICS: Final = 20
MOST_RESULTS: Final = 1000
"""Of some hundred bytes each; few jobs say so much."""
LATEST_MS: Final = 4_102_444_800_000
"""The year 2100: later moments were meant as something else, microseconds perhaps."""

_STRICT: Final = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
"""Types are not guessed; fields that nobody documented are not looked at; no value gets into an error."""
_SAID: Final = ConfigDict(use_attribute_docstrings=True)

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str
    message: str
    details: dict[str, JsonValue]


class Problem(BaseModel):
    """A refusal."""

    error: ErrorBody


class TopicWish(BaseModel):
    """One topic that is to be heard, as the inngest SDKs ask for it."""

    model_config = _STRICT

    channel: Name
    name: Name
    kind: Literal["run"] = "run"
    history: bool = False
    """Ours: what was said before is told first, as far back as the setting `realtime_history_s` goes."""
    since: Annotated[int, Field(ge=0, le=LATEST_MS)] | None = None
    """Ours: as `history`, from this moment on, in milliseconds since 1970."""


class TokenBody(RootModel[Annotated[list[TopicWish], Field(min_length=1, max_length=MOST_TOPICS)]]):
    """POST /v1/realtime/token: topics of one channel."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)


class TokenMade(BaseModel):
    """A ticket for that channel and those topics."""

    jwt: str


class ConnectQuery(BaseModel):
    """How a reader comes in."""

    model_config = _STRICT

    token: Annotated[str, Field(min_length=1, max_length=8000, description="The ticket, as POST /v1/realtime/token gave it.")]
    lastEventId: Annotated[
        str | None, Field(max_length=100, description="`id` (WebSocket: `stream_id`) of what was heard last; the header wins.")
    ] = None
    from_: Annotated[
        str | None,
        Field(alias="from", max_length=100, description="Ours: `id` of the message to begin with; what was heard last wins."),
    ] = None
    speed: Annotated[
        Speed | None,
        Field(
            description="Ours: what was said before is told so many times as fast as it was said, a pause counting as 60 s at most; then "
            "what comes, as it comes. Without it the past comes as fast as it is taken."
        ),
    ] = None


class ResumeHeaders(BaseModel):
    """Where a stream is to go on."""

    last_event_id: Annotated[str | None, Field(alias="Last-Event-ID", description="`id` of the last event heard.")] = None


class ResultsQuery(BaseModel):
    """Which task, and what of it is known already."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    taskId: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, description="As it was given to /api/knowledge/process.")]
    after: Annotated[str | None, Field(max_length=100, description="`next` of the answer before: only what came since.")] = None
    limit: Annotated[
        int | None,
        Field(ge=1, le=MOST_RESULTS, description=f"Messages in one answer, the oldest first; {MOST_RESULTS} with `after` alone."),
    ] = None


class Told(BaseModel):
    """A message of the topic `update`, as the channel has it."""

    taskId: str
    message: dict[str, JsonValue]


class Results(BaseModel):
    """What the channel has said about the newest job of a task."""

    model_config = _SAID

    taskId: str
    jobId: str
    status: Literal["IN_PROGRESS", "DONE", "MERGED"]
    sessionId: str
    results: list[Told]
    done: bool
    """Nothing more comes but, perhaps, the status MERGED."""
    more: bool
    """There is more already: ask for it with `after`. `status` and `done` are of where this page ends."""
    next: str | None
    """For `after` of the next question; null while nothing was said."""


class Registered(BaseModel):
    """What the document says of the registration. JetStream is the engine here, so it never changes."""

    authentication_succeeded: None
    extra: dict[str, bool]
    has_event_key: bool
    has_signing_key: bool
    function_count: int
    mode: Literal["dev"]
    schema_version: str
