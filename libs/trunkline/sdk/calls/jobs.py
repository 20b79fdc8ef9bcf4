"""Jobs of the pr_agent surface: asking for one, reading, following, replaying and cancelling it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypedDict, Unpack

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from trunkline.sdk.calls import Call, Feed, Object, Page, answer, check, known, part, words
from trunkline.sdk.credentials import Surface, TokenPlace
from trunkline.sdk.models.jobs import (
    Accepted,
    AgentEvent,
    ErrorEvent,
    Job,
    JobAnswer,
    JobEvent,
    JobList,
    OtherEvent,
    RateLimitStatus,
    ResultEvent,
    StatusEvent,
)
from trunkline.sdk.sse import ServerEvent
from trunkline.sdk.terms import ToolRule

ROOT: Final = "/api/pr-agent"
PAGE: Final = 100
Known = Annotated[StatusEvent | AgentEvent | ResultEvent | ErrorEvent, Field(discriminator="type")]
_EVENT: Final[TypeAdapter[Known]] = TypeAdapter(Known, config=ConfigDict(defer_build=True))


class JobOptions(TypedDict, total=False):
    """What a job may be asked for with. `idempotency_key`: of one request, however often it is made; one is made where none is given."""

    branch: str
    skill: str
    use_sdk: bool
    client_fingerprint: str
    task_id: str
    task_title: str
    budget_usd: float
    tool_rules: list[ToolRule]
    github_token: str
    idempotency_key: str


class JobFilter(TypedDict, total=False):
    """Which jobs. `status` is pending, running, success or failed."""

    status: str
    github_username: str
    fingerprint: str


def execute(repo: str, task: str, **options: Unpack[JobOptions]) -> Call[Accepted]:
    """Ask for a job on the repository `owner/name`; the answer comes when it is on disk."""
    check("execute", options, JobOptions, "repo", "task")
    named = known(taskId=options.get("task_id"), taskTitle=options.get("task_title"))
    body = known(
        repo=repo,
        task=task,
        branch=options.get("branch"),
        skill=options.get("skill"),
        useSDK=options.get("use_sdk"),
        clientFingerprint=options.get("client_fingerprint"),
        budgetUsd=options.get("budget_usd"),
        toolRules=options.get("tool_rules"),
        metadata=named or None,
    )
    return Call(
        "POST",
        f"{ROOT}/execute",
        Surface.JOBS,
        answer(Accepted),
        body=body,
        key=options.get("idempotency_key", ""),
        github=TokenPlace.BODY,
        github_token=options.get("github_token", ""),
    )


def get(job_id: str) -> Call[Job]:
    """How a job stands."""
    return Call("GET", f"{ROOT}/{part(job_id)}", Surface.JOBS, _job)


def list_(*, offset: int = 0, page_size: int = PAGE, **asked: Unpack[JobFilter]) -> Call[Page[Job]]:
    """One's own jobs, the newest first; pages are asked for as they are needed."""
    check("list", asked, JobFilter, "offset", "page_size")
    return _page(words(limit=page_size, **asked), offset)


def cancel(job_id: str, reason: str = "") -> Call[Job]:
    """Stop a job; the stream says when that is done. Cancelling twice changes nothing; one that ended otherwise is a ConflictError."""
    body: Object = {"reason": reason} if reason else {}
    return Call("POST", f"{ROOT}/{part(job_id)}/cancel", Surface.JOBS, _job, body=body)


def rate_limit_status(fingerprint: str | None = None) -> Call[RateLimitStatus]:
    """What may still be asked for; this uses nothing of it up."""
    return Call("GET", f"{ROOT}/rate-limit-status", Surface.JOBS, answer(RateLimitStatus), words(fingerprint=fingerprint))


def stream(job_id: str, *, after: str = "") -> Feed[JobEvent]:
    """Everything that happened, then everything that happens, to the result or the error; or only what follows the event `after`."""
    return _feed(job_id, "stream", after)


def watch(job_id: str, *, after: str = "") -> Feed[JobEvent]:
    """The same as `stream`, by the name that attaching to a job has."""
    return _feed(job_id, "watch", after)


def replay(job_id: str, speed: float = 1.0, *, after: str = "") -> Feed[JobEvent]:
    """What happened, at 0.1 to 100 times its own pace, then what happens."""
    return _feed(job_id, "replay", after, speed=speed)


def demonstration(outcome: Literal["result", "error"] = "result") -> Feed[JobEvent]:
    """Every kind of event once, of a job that never was."""
    return Feed(f"{ROOT}/test-stream", Surface.JOBS, event, is_last, is_gap, None, {"outcome": outcome})


def _feed(job_id: str, verb: str, after: str, **query: float) -> Feed[JobEvent]:
    over = Call("GET", f"{ROOT}/{part(job_id)}", Surface.JOBS, lambda raw: _job(raw).over)
    return Feed(f"{ROOT}/{part(job_id)}/{verb}", Surface.JOBS, event, is_last, is_gap, over, words(**query), after)


def event(came: ServerEvent) -> JobEvent | None:
    """One event; None for what is none of a job. Pure."""
    try:
        found: JobEvent = _EVENT.validate_json(came.text)
    except ValidationError:
        try:
            found = OtherEvent.model_validate_json(came.text)
        except ValidationError:
            return None
    return found.model_copy(update={"id": came.id})


def is_last(event: JobEvent) -> bool:
    return event.type in ("result", "error")


def is_gap(event: JobEvent) -> bool:
    return isinstance(event, StatusEvent) and event.phase == "gap" and not event.id


def _page(query: Mapping[str, str], offset: int) -> Call[Page[Job]]:
    def read(raw: bytes) -> Page[Job]:
        found = JobList.model_validate_json(raw)
        after = found.offset + len(found.jobs)
        more = found.jobs and after < found.total
        return Page(found.jobs, found.total, _page(query, after) if more else None)

    return Call("GET", f"{ROOT}/jobs", Surface.JOBS, read, {**query, "offset": str(offset)})


def _job(raw: bytes) -> Job:
    return JobAnswer.model_validate_json(raw).job
