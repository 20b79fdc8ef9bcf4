"""What a pr_agent client sends and reads, field by field, with the spellings of its document."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, SecretStr
from pydantic_core import PydanticCustomError

from trunkline.contracts.run import Phase
from trunkline_gateway.usecases.replay import Speed
from trunkline_gateway.usecases.terms import LEAST_USD, MOST_RULES, MOST_USD

TASK_LIMIT: Final = 128 << 10
"""Bytes of UTF-8. Half of what a body may hold, and far beyond any task that a person wrote."""

_STRICT: Final = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
"""Types are not guessed; fields that the document does not know are not looked at; no value gets into an error."""

_REPO: Final = re.compile(r"\A[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}\Z")
_NOT_IN_REF: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def _repository(text: str) -> str:
    name = text.rpartition("/")[2]
    if not _REPO.match(text) or ".." in text or name == "." or text.endswith((".git", ".lock", ".")):
        raise PydanticCustomError("INVALID_REPO", "repo must look like owner/name: letters, digits, '.', '_' and '-', without .git")
    return text


def _task(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("MISSING_TASK", "task must say what is to be done")
    if len(text.encode()) > TASK_LIMIT:
        raise PydanticCustomError("TASK_TOO_LONG", f"task must be at most {TASK_LIMIT} bytes; put longer material into the repository")
    return text


def _branch(text: str) -> str:
    """The rules of `git check-ref-format --branch`, and a length that a file name can have."""
    parts = text.split("/")
    broken = (
        not 0 < len(text.encode()) <= 200
        or _NOT_IN_REF.search(text)
        or text in ("@", "HEAD")
        or text.startswith("-")
        or text.endswith(".")
        or any(not part or part.startswith(".") or part.endswith(".lock") for part in parts)
    )
    if broken:
        raise PydanticCustomError("INVALID_BRANCH", "branch must be a name that git takes for a branch, at most 200 bytes")
    return text


_REPOSITORY_IN_WORDS: Final[dict[str, JsonValue]] = {
    "pattern": r"^(?!.*\.\.)(?!.*(\.|\.git|\.lock)$)[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}$",
    "examples": ["acme/shop"],
}
_TASK_IN_WORDS: Final[dict[str, JsonValue]] = {"pattern": r"\S", "maxLength": TASK_LIMIT, "examples": ["Fix the login bug"]}
_BRANCH_IN_WORDS: Final[dict[str, JsonValue]] = {
    "pattern": r"^[^\x00-\x20\x7f~^:?*\[\\]+$",
    "maxLength": 200,
    "description": "A name that git takes for a branch.",
    "examples": ["main"],
}
"""For the API document, as far as a pattern can say it."""


class Metadata(BaseModel):
    """What the caller calls the task."""

    model_config = _STRICT

    taskId: str | None = Field(None, max_length=200)
    taskTitle: str | None = Field(None, max_length=500)


class ToolRuleBody(BaseModel):
    """Which of the agent's calls are asked about or denied, on top of the settings. `*` stands for any text and `?` for one character."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    tool: str = Field(min_length=1, max_length=200)
    """The agent's own name of it."""
    argument: str = Field(min_length=1, max_length=2000)
    """Of its argument that says most: the command, the path. `*` means every call of the tool."""
    then: Literal["ask", "deny"]
    """A task cannot allow what the settings do not."""
    reason: str | None = Field(None, max_length=1000)
    """Told to the agent with a denial, and to people with a question."""


class ExecuteBody(BaseModel):
    """POST /api/pr-agent/execute."""

    model_config = _STRICT

    repo: Annotated[str, AfterValidator(_repository), Field(json_schema_extra=_REPOSITORY_IN_WORDS)]
    task: Annotated[str, AfterValidator(_task), Field(json_schema_extra=_TASK_IN_WORDS)]
    branch: Annotated[str, AfterValidator(_branch), Field(json_schema_extra=_BRANCH_IN_WORDS)] | None = None
    githubToken: SecretStr | None = Field(None, max_length=1000)
    """The caller's own, for a private repository; it wins over one in the Authorization header. Kept sealed until the job ends, and never
    shown again."""
    clientFingerprint: str | None = Field(None, max_length=200)
    skill: str | None = Field(None, max_length=100)
    useSDK: bool | None = None
    metadata: Metadata | None = None
    budgetUsd: float | None = Field(None, ge=LEAST_USD, le=MOST_USD, allow_inf_nan=False)
    """What its models may cost before somebody is asked, in US dollars. Beyond the one of the settings it changes nothing."""
    toolRules: list[ToolRuleBody] | None = Field(None, max_length=MOST_RULES)
    """On top of the rules of the settings; the strictest that fits a call counts."""


class CancelBody(BaseModel):
    """POST /api/pr-agent/:jobId/cancel (ours)."""

    model_config = _STRICT

    reason: str | None = Field(None, max_length=500)
    clientFingerprint: str | None = Field(None, max_length=200)
    """What the job was sent with: by it a stranger cancels from another address too. One that is not the job's cancels nothing."""


JobId = Annotated[str, Field(json_schema_extra={"format": "uuid"})]
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class Named(BaseModel):
    """What names a job in a path."""

    jobId: Annotated[
        str,
        Field(
            pattern="^(?:[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})$",
            description="A UUID, with dashes or without.",
            examples=["0194589f-6d00-7000-8000-000000000001"],
        ),
    ]


class Resume(BaseModel):
    """Where a stream begins or goes on, for clients that cannot send the header; and how fast it goes."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    lastEventId: Annotated[str | None, Field(max_length=100, description="`id` of the last event seen; the header wins.")] = None
    from_: Annotated[str | None, Field(alias="from", max_length=100, description="`id` of the event to begin with.")] = None
    speed: Annotated[
        Speed | None,
        Field(description="So many times as fast as it happened; a pause counts as 60 s at most. Without it, a stream waits for nothing."),
    ] = None


class ResumeHeaders(BaseModel):
    """Where a stream is to go on."""

    last_event_id: Annotated[str | None, Field(alias="Last-Event-ID", description="`id` of the last event seen.")] = None


class Accepted(BaseModel):
    """A job that is on disk."""

    jobId: JobId
    streamUrl: str


class JobFields(BaseModel):
    """A job. What is not known is null, never invented."""

    id: JobId
    repoFullName: str
    branch: str
    task: str
    status: Literal["pending", "running", "success", "failed"]
    phase: Phase | None
    fixBranch: str | None
    prNumber: int | None
    prUrl: str | None
    filesChanged: int | None
    additions: int | None
    deletions: int | None
    commitSha: str | None
    sandboxId: str | None
    sandboxDurationSeconds: float | None
    createdAt: Moment
    completedAt: Moment | None
    error: str | None
    errorCode: str | None
    estimatedCostUsd: float | None
    llmModel: str | None
    llmInputTokens: int | None
    llmOutputTokens: int | None


class Job(JobFields):
    """A job, flat, and the same again under `job`: clients of both kinds are about."""

    job: JobFields


class Cancelled(Job):
    """The job as it is now. One that somebody works on goes on `running` until that has ended."""

    jobId: JobId


class Problem(BaseModel):
    """A refusal. `error` and `message` hold the same text."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    error: str
    message: str
    code: str
    details: dict[str, JsonValue]
    retryAfter: float | None = None
    """Seconds; only where waiting helps."""
    upgradeUrl: str | None = None
    """Where a caller gets more; only with 429."""
