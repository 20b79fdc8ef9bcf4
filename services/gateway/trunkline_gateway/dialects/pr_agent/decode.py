"""From what a pr_agent client sends to what Trunkline understands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar
from uuid import UUID

from multidict import MultiMapping
from pydantic import BaseModel, JsonValue, SecretStr, ValidationError

from trunkline.auth.principal import Principal
from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import Assignment, Visibility
from trunkline.contracts.views import FINGERPRINT, LOGIN
from trunkline_gateway.dialects.pr_agent.schemas import CancelBody, ExecuteBody, Metadata, Resume
from trunkline_gateway.usecases import replay
from trunkline_gateway.usecases.own_jobs import kept_fingerprint
from trunkline_gateway.usecases.replay import Place
from trunkline_gateway.usecases.terms import Terms, under
from trunkline_gateway.usecases.vaulted import borne, forge_token

SURFACE: Final = "pr_agent"
JOB: Final = re.compile(r"\A(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z", re.IGNORECASE)

CODE_OF_FIELD: Final = {
    "repo": "INVALID_REPO", "task": "MISSING_TASK", "branch": "INVALID_BRANCH",
    "speed": "INVALID_SPEED", "from": "BAD_EVENT_ID", "lastEventId": "BAD_EVENT_ID",
}  # fmt: skip

Body = TypeVar("Body", bound=BaseModel)


def execute(body: Mapping[str, JsonValue]) -> Assignment:
    """Raises Invalid with the code that the document names. Nothing of a token is in it."""
    asked = _read(ExecuteBody, body)
    assignment = Assignment(repo=asked.repo, prompt=asked.task, branch=asked.branch or "main", surface=SURFACE, labels=_labels(asked))
    return under(assignment, _terms(asked))


def token(body: Mapping[str, JsonValue], authorization: str) -> SecretStr | None:
    """The caller's own for the forge: `githubToken` of the body, or a bearer that looks like one; the two are the same. Raises Invalid."""
    said, bearer = body.get("githubToken"), borne(authorization)
    if not isinstance(said, str) or not said:
        return bearer
    given = forge_token(said, "githubToken")
    if bearer is not None and bearer != given:
        raise Invalid("githubToken and the Authorization header are two different tokens; send one", code="AMBIGUOUS_CREDENTIALS")
    return given


def asked_by(principal: Principal, assignment: Assignment, visibility: Visibility) -> Assignment:
    """The assignment with what is known of its submitter. The login is for people; it gives no right."""
    labels = {**assignment.labels, LOGIN: principal.name} if principal.name else assignment.labels
    return assignment.model_copy(update={"visibility": visibility, "labels": labels})


def fingerprint(body: Mapping[str, JsonValue]) -> str:
    """What the client calls itself, in a body that `execute` took; no text when it does not."""
    said = body.get("clientFingerprint")
    return said if isinstance(said, str) else ""


def cancel(body: Mapping[str, JsonValue]) -> CancelBody:
    """Why, and what a stranger shows of itself. Raises Invalid."""
    return _read(CancelBody, body)


def job_id(text: str) -> TaskId:
    """A UUID, with or without dashes, in any case. Raises NotFound: no job can have another name."""
    if not JOB.match(text):
        raise unknown_job()
    return TaskId(UUID(text).hex)


def unknown_job() -> NotFound:
    return NotFound("there is no such job")


def place(header: str | None, query: MultiMapping[str], speed: float | None = None) -> Place:
    """Where a stream begins, and how fast: `speed` where the query names none. The header wins, for it is what the client saw last.

    Raises Invalid.
    """
    asked = _read(Resume, once(query, ("lastEventId", "from", "speed")))
    return replay.place(header or asked.lastEventId, asked.from_, speed if asked.speed is None else asked.speed)


def once(query: MultiMapping[str], names: Iterable[str]) -> dict[str, str]:
    """What a query says of them. What is said twice is refused, for there is no telling which is meant; the value is never repeated."""
    named = [name for name in names if name in query]
    for name in named:
        if len(query.getall(name)) > 1 or "\x00" in query[name]:
            raise Invalid(f"{name} must be given once, as text", code=CODE_OF_FIELD.get(name, "INVALID_REQUEST"), field=name)
    return {name: query[name] for name in named}


def _terms(asked: ExecuteBody) -> Terms:
    """What the caller demands of its own job."""
    rules = (
        ToolRule(tool=rule.tool, argument=rule.argument, then=Ruling(rule.then), reason=rule.reason or "") for rule in asked.toolRules or ()
    )
    return Terms(tuple(rules), asked.budgetUsd)


def _labels(asked: ExecuteBody) -> dict[str, str]:
    named = asked.metadata or Metadata.model_validate({})
    labels = {
        "skill": asked.skill,
        "useSDK": None if asked.useSDK is None else str(asked.useSDK).lower(),
        FINGERPRINT: kept_fingerprint(asked.clientFingerprint),
        "metadata.taskId": named.taskId,
        "metadata.taskTitle": named.taskTitle,
    }
    return {name: value for name, value in labels.items() if value is not None}


def _read(schema: type[Body], body: Mapping[str, JsonValue]) -> Body:
    try:
        return schema.model_validate(body)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> Invalid:
    """The first problem only, and never the value: it may be a secret."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"].isupper():
        return Invalid(first["msg"], code=first["type"], field=field)
    top = str(first["loc"][0]) if first["loc"] else ""
    return Invalid(f"{field}: {first['msg']}", code=CODE_OF_FIELD.get(top, "INVALID_REQUEST"), field=field)
