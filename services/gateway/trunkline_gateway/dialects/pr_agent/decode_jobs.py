"""From what a pr_agent client asks in a query to what Trunkline understands."""

from __future__ import annotations

from typing import Final, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, ValidationError

from trunkline.contracts.errors import Invalid
from trunkline.contracts.task import TaskStatus
from trunkline_gateway.dialects.pr_agent.decode import CODE_OF_FIELD, once
from trunkline_gateway.dialects.pr_agent.encode import STATUS
from trunkline_gateway.dialects.pr_agent.schemas_jobs import DemonstrationQuery, JobsQuery, LimitsQuery
from trunkline_gateway.usecases.own_jobs import Wish

ALL: Final = "all"

Query = TypeVar("Query", bound=BaseModel)


def jobs(query: MultiMapping[str], surface: str) -> Wish:
    """Raises Invalid."""
    asked = _read(JobsQuery, query)
    statuses: tuple[TaskStatus, ...] = () if asked.status == ALL else tuple(one for one, word in STATUS.items() if word == asked.status)
    return Wish(surface, statuses, asked.fingerprint, asked.github_username, asked.limit, asked.offset)


def fingerprint(query: MultiMapping[str]) -> str:
    """No text when none is named. Raises Invalid."""
    asked = _read(LimitsQuery, query)
    return asked.fingerprint or asked.client_fingerprint or ""


def ends_well(query: MultiMapping[str]) -> bool:
    """How the demonstration is to end. Raises Invalid."""
    return _read(DemonstrationQuery, query).outcome == "result"


def _read(schema: type[Query], query: MultiMapping[str]) -> Query:
    said = once(query, [field.alias or name for name, field in schema.model_fields.items()])
    try:
        return schema.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        raise Invalid(f"{field}: {first['msg']}", code=CODE_OF_FIELD.get(field, "INVALID_REQUEST"), field=field) from None
