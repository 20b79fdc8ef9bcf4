"""Jobs, as the pr_agent surface answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from trunkline.sdk.models import JobShape

OVER = ("success", "failed")


class Accepted(JobShape):
    """A job that is on disk."""

    job_id: str
    stream_url: str


class Job(JobShape):
    """A job. What is not known is None, never invented. `status` is pending, running, success or failed."""

    id: str
    status: str
    repo: str = Field("", alias="repoFullName")
    branch: str = ""
    task: str = ""
    phase: str | None = None
    fix_branch: str | None = None
    pr_number: int | None = None
    pr_url: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    commit_sha: str | None = None
    sandbox_id: str | None = None
    sandbox_duration_seconds: float | None = None
    estimated_cost_usd: float | None = None
    llm_model: str | None = None
    llm_input_tokens: int | None = None
    llm_output_tokens: int | None = None
    created_at: datetime | None = None
    completed_at: datetime | None = None
    error: str | None = None
    error_code: str | None = None

    @property
    def over(self) -> bool:
        return self.status in OVER


class JobAnswer(JobShape):
    """The same object stands in it twice: flat, and under `job`."""

    job: Job


class JobList(JobShape):
    jobs: tuple[Job, ...]
    total: int
    limit: int
    offset: int


class JobResult(JobShape):
    """What came out of a job that succeeded."""

    success: bool = True
    fix_branch: str | None = None
    pr_number: int | None = None
    pr_url: str | None = None
    commit_sha: str | None = None
    files_changed: int | None = None
    additions: int | None = None
    deletions: int | None = None
    sandbox_id: str | None = None
    sandbox_duration_seconds: float | None = None
    estimated_cost_usd: float | None = None
    llm_model: str | None = None
    llm_input_tokens: int | None = None
    llm_output_tokens: int | None = None


class StatusEvent(JobShape):
    """Where a job stands. The phase `gap` has no id: the log lost what was asked for, and all that it holds follows."""

    type: Literal["status"]
    id: str = ""
    """Where a stream goes on from; empty where it cannot."""
    timestamp: datetime
    job_id: str = ""
    status: str = ""
    phase: str | None = None
    message: str = ""


class AgentEvent(JobShape):
    """What the agent says or does. `event_type` is message, thinking, tool_call or tool_result."""

    type: Literal["agent"]
    id: str = ""
    timestamp: datetime
    job_id: str = ""
    event_type: str = ""
    tool: str | None = None
    display: str | None = None
    output: str | None = None
    is_error: bool = False


class ResultEvent(JobShape):
    """The job succeeded; nothing follows."""

    type: Literal["result"]
    id: str = ""
    timestamp: datetime
    job_id: str = ""
    success: bool = True
    result: JobResult


class ErrorEvent(JobShape):
    """The job failed, or was cancelled; nothing follows."""

    type: Literal["error"]
    id: str = ""
    timestamp: datetime
    job_id: str = ""
    error: str = ""
    code: str = ""
    recoverable: bool = False


class OtherEvent(JobShape):
    """A kind of event that is newer than this program; its fields are in `model_extra`."""

    type: str = ""
    id: str = ""
    timestamp: datetime | None = None
    job_id: str = ""


JobEvent = StatusEvent | AgentEvent | ResultEvent | ErrorEvent | OtherEvent


class Window(JobShape):
    """One window; all None where it does not limit. `reset`: when it has room for one more, in seconds since 1970."""

    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None


class RateLimitStatus(JobShape):
    """How many jobs may still be started: by window (`minute`, `hour`, `day`), and of the tightest one. `retry_after` in seconds."""

    tier: str = ""
    limits: dict[str, Window] = {}
    limit: int | None = None
    remaining: int | None = None
    reset: int | None = None
    retry_after: int | None = None
    upgrade_url: str | None = None
