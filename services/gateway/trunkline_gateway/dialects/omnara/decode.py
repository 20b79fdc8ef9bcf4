"""From what an omnara client sends to what Trunkline understands."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeVar

from multidict import MultiMapping
from pydantic import BaseModel, JsonValue, ValidationError

from trunkline.contracts.cursor import Cursor
from trunkline.contracts.dispatch import Workflow, WorkflowRun
from trunkline.contracts.errors import Invalid
from trunkline.contracts.ids import uuid_hex
from trunkline.contracts.instance import InstanceStatus
from trunkline_gateway.dialects.omnara.schemas import AgentMessageBody, DispatchBody, RegisterBody, RunBody, StreamQuery
from trunkline_gateway.usecases.dispatching import DispatchWish
from trunkline_gateway.usecases.instances import InstanceName, Registration, Saying

VALIDATION: Final = "VALIDATION_ERROR"
LONGEST_NAME: Final = 1000
IN_PROGRESS: Final = "in_progress"

Schema = TypeVar("Schema", bound=BaseModel)


def instance(text: str) -> InstanceName:
    """Raises Invalid."""
    if not text.strip() or len(text) > LONGEST_NAME or "\0" in text:
        raise Invalid("Invalid agent_instance_id", code="INVALID_INSTANCE_ID")
    return _named(text)


@lru_cache(4096)  # whoever gives signs of life is named the same each time
def _named(text: str) -> InstanceName:
    return InstanceName.of(text)


def message(text: str, field: str = "message_id") -> str:
    """Its 32 hex digits. Raises Invalid."""
    found = uuid_hex(text)
    if found is None:
        raise Invalid(f"Invalid {field}", code="INVALID_MESSAGE_ID")
    return found


def said(body: AgentMessageBody) -> Saying:
    """Raises Invalid."""
    diff = None if body.git_diff is None else git_diff(body.git_diff)
    return Saying(body.content, body.requires_user_input, body.agent_type or "", diff, body.message_metadata or {})


def git_diff(text: str) -> str:
    """Out of base64, where it is that: a diff as git prints it holds characters that base64 has not. Raises Invalid."""
    try:
        plain = base64.b64decode(text.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return text
    if "\0" in plain:
        raise Invalid("git_diff holds a NUL character, which no text of ours does", code=VALIDATION)
    return plain


def registration(body: RegisterBody) -> Registration:
    """Raises Invalid."""
    named = instance(body.agent_instance_id) if body.agent_instance_id is not None else None
    return Registration(body.agent_type, body.name or "", body.transport, named)


def status(text: str) -> InstanceStatus:
    """In any case. Raises Invalid."""
    try:
        return InstanceStatus(text.strip().upper() if text.isascii() else text)
    except ValueError:
        raise Invalid(f"Invalid status: must be one of {', '.join(InstanceStatus)}", code="INVALID_STATUS") from None


def run(body: RunBody) -> WorkflowRun:
    """Without its address, which GitHub tells: what somebody else says would be shown as a link."""
    return WorkflowRun(run_id=body.run_id, run_attempt=body.run_attempt, status=IN_PROGRESS)


def dispatch(body: DispatchBody) -> DispatchWish:
    """Raises Invalid."""
    if not body.prompt.strip():
        raise _wrong("prompt", "says nothing")
    workflow = Workflow(
        event_type=body.event_type or "", agent_type=body.agent_type or "general", installation_id=body.installation_id
    )  # fmt: skip
    return DispatchWish(body.owner, body.repo, body.prompt, workflow, body.branch_name or "main")


def place(query: MultiMapping[str], headers: Mapping[str, str]) -> tuple[Cursor | None, bool]:
    """Beyond which place a stream goes on, and whether one without a place begins at the start. Raises Invalid."""
    last = headers.get("Last-Event-ID")
    return (Cursor.parse(last) if last else None), asked(StreamQuery, query).history


def asked(schema: type[Schema], query: MultiMapping[str]) -> Schema:
    """What stands in a query. Raises Invalid, also for what stands there twice."""
    known = [name for name in schema.model_fields if name in query]
    for name in known:
        if len(query.getall(name)) > 1:
            raise _wrong(name, "may be given once")
        if "\0" in query[name]:
            raise _wrong(name, "holds a NUL character")
    return read(schema, {name: query[name] for name in known})


def read(schema: type[Schema], sent: JsonValue | Mapping[str, str]) -> Schema:
    """Raises Invalid with the first field that is wrong, and without its value."""
    try:
        return schema.model_validate(sent)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise _wrong(".".join(map(str, first["loc"][:1])), first["msg"]) from None


def _wrong(field: str, why: str) -> Invalid:
    return Invalid(f"{field}: {why}" if field else why, code=VALIDATION)
