"""What an omnara client sends: as the SDK writes it, and what is ours beside that."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from trunkline.contracts.dispatch import LONGEST_EVENT_TYPE

_STRICT = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
_LOOSE = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, use_attribute_docstrings=True)
InstanceId = Annotated[str, Field(min_length=1, max_length=1000)]
"""A UUID; or the text that an instance was dispatched under."""
MessageId = Annotated[str, Field(min_length=1, max_length=100)]
AgentType = Annotated[str, Field(max_length=200)]


class InstancePath(BaseModel):
    """Which instance."""

    model_config = _LOOSE

    agent_instance_id: InstanceId


class MessagePath(BaseModel):
    """Which message."""

    model_config = _LOOSE

    agent_message_id: MessageId


class AgentMessageBody(BaseModel):
    """POST /api/v1/messages/agent. `send_push`, `send_email` and `send_sms` may stand there, and count for nothing."""

    model_config = _STRICT

    content: str
    agent_instance_id: InstanceId
    requires_user_input: bool = False
    agent_type: AgentType | None = None
    """Makes the instance where none is."""
    git_diff: str | None = None
    """Plain, or in base64; empty: nothing is changed any more."""
    message_metadata: dict[str, JsonValue] | None = None


class UserMessageBody(BaseModel):
    """POST /api/v1/messages/user."""

    model_config = _STRICT

    agent_instance_id: InstanceId
    content: Annotated[str, Field(min_length=1)]
    mark_as_read: bool = True
    """The agent knows it already; send false to answer it."""


class PendingQuery(BaseModel):
    """GET /api/v1/messages/pending."""

    model_config = _LOOSE

    agent_instance_id: InstanceId
    last_read_message_id: MessageId | None = None


class RegisterBody(BaseModel):
    """POST /api/v1/agent-instances."""

    model_config = _STRICT

    agent_type: Annotated[str, Field(min_length=1, max_length=200)]
    transport: Annotated[str, Field(max_length=64)] = ""
    agent_instance_id: InstanceId | None = None
    """A UUID; left out, one is made."""
    name: Annotated[str, Field(max_length=500)] | None = None


class StatusBody(BaseModel):
    """PUT /api/v1/agent-instances/{id}/status."""

    model_config = _STRICT

    status: Annotated[str, Field(max_length=64)]
    """ACTIVE, AWAITING_INPUT, PAUSED, STALE, COMPLETED, FAILED, KILLED or DISCONNECTED, in any case."""


class EndBody(BaseModel):
    """POST /api/v1/sessions/end."""

    model_config = _STRICT

    agent_instance_id: InstanceId


class RunBody(BaseModel):
    """PUT /api/v1/agent-instances/{id}/run, by the workflow itself."""

    model_config = _STRICT

    run_id: Annotated[int, Field(ge=1, le=2**53)]
    run_attempt: Annotated[int, Field(ge=1, le=10_000)] = 1
    repository: Annotated[str, Field(min_length=3, max_length=300)]
    """`owner/name`."""
    url: Annotated[str, Field(max_length=1000)] = ""


class ViewQuery(BaseModel):
    """How much of an instance is shown."""

    model_config = _LOOSE

    message_limit: Annotated[int, Field(ge=0, le=200)] = 50
    before_message_id: MessageId | None = None


class MessagesQuery(BaseModel):
    """Which messages."""

    model_config = _LOOSE

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    before_message_id: MessageId | None = None


class StreamQuery(BaseModel):
    """How a stream begins."""

    model_config = _LOOSE

    history: bool = False
    """Everything from the start; else what happens from now on."""
    token: Annotated[str, Field(max_length=4000)] | None = None
    """The credential, for clients that cannot send headers with a stream."""


class StreamHeaders(BaseModel):
    """Where a stream goes on."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    last_event_id: Annotated[str | None, Field(alias="Last-Event-ID", description="`id` of the last event that was read.")] = None


class DispatchBody(BaseModel):
    """POST /api/v1/github/dispatches."""

    model_config = _STRICT

    owner: Annotated[str, Field(min_length=1, max_length=100)]
    repo: Annotated[str, Field(min_length=1, max_length=100)]
    prompt: Annotated[str, Field(min_length=1)]
    agent_instance_id: InstanceId | None = None
    """Any text. The same again is the same dispatch; left out, a UUID is made."""
    branch_name: Annotated[str, Field(max_length=255)] | None = None
    """`main` where it is left out."""
    agent_type: AgentType | None = None
    """`general` where it is left out."""
    installation_id: Annotated[int, Field(ge=1, le=2**53)] | None = None
    """Of the GitHub App; found by the repository where it is left out."""
    event_type: Annotated[str, Field(min_length=1, max_length=LONGEST_EVENT_TYPE)] | None = None
    """The installation's own where it is left out."""


class RunsQuery(BaseModel):
    """GET /api/v1/github/runs."""

    model_config = _LOOSE

    owner: Annotated[str, Field(min_length=1, max_length=100)]
    repo: Annotated[str, Field(min_length=1, max_length=100)]
    limit: Annotated[int, Field(ge=1, le=100)] = 30
