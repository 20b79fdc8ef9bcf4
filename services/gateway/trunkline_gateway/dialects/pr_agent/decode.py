"""From what a pr_agent client sends to what Trunkline understands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypeVar
from uuid import UUID

from pydantic import BaseModel, JsonValue, SecretStr, ValidationError

from trunkline.contracts.calls import Ruling, ToolRule
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import Invalid, NotFound
from trunkline.contracts.ids import TaskId
from trunkline.contracts.task import Assignment
from trunkline_gateway.dialects.pr_agent.schemas import CancelBody, ExecuteBody, Metadata
from trunkline_gateway.usecases.terms import Terms, under
from trunkline_gateway.usecases.vaulted import borne, forge_token

SURFACE: Final = "pr_agent"
JOB: Final = re.compile(r"\A(?:[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z", re.IGNORECASE)

_CODE_OF_FIELD: Final = {"repo": "INVALID_REPO", "task": "MISSING_TASK", "branch": "INVALID_BRANCH"}

Body = TypeVar("Body", bound=BaseModel)


def execute(body: Mapping[str, JsonValue]) -> Assignment:
    """Raises Invalid with the code that the document names. Nothing of a token is in it."""
    asked = _read(ExecuteBody, body)
    assignment = Assignment(repo=asked.repo, prompt=asked.task, branch=asked.branch or "main", surface=SURFACE, labels=_labels(asked))
    return under(assignment, _terms(asked))


def token(body: Mapping[str, JsonValue], authorization: str) -> SecretStr | None:
    """The caller's own for the forge: from a body that `execute` took, else a bearer that looks like one. Raises Invalid."""
    given = body.get("githubToken")
    return forge_token(given, "githubToken") if isinstance(given, str) and given else borne(authorization)


def cancel(body: Mapping[str, JsonValue]) -> str:
    """The reason, or no text."""
    return _read(CancelBody, body).reason or ""


def job_id(text: str) -> TaskId:
    """A UUID, with or without dashes, in any case. Raises NotFound: no job can have another name."""
    if not JOB.match(text):
        raise unknown_job()
    return TaskId(UUID(text).hex)


def unknown_job() -> NotFound:
    return NotFound("there is no such job")


def after(header: str | None, query: str | None) -> Cursor | None:
    """Where to resume; the header wins, for it is what the client saw last. Raises Invalid."""
    text = header or query
    return Cursor.parse(text) if text else None


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
        "clientFingerprint": asked.clientFingerprint,
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
    return Invalid(f"{field}: {first['msg']}", code=_CODE_OF_FIELD.get(top, "INVALID_REQUEST"), field=field)
