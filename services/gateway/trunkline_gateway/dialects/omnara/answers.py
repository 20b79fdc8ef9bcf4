"""What an omnara client reads: the fields that the SDK takes, and ours beside them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, RootModel

_DOCUMENTED = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Problem(BaseModel):
    """Every refusal."""

    detail: str


class Spoken(BaseModel):
    """One message, in the five fields that the SDK takes: it takes no sixth."""

    id: str
    content: str
    sender_type: Literal["AGENT", "USER"]
    created_at: str
    requires_user_input: bool


class Shown(Spoken):
    """One message, with what its agent wrote beside it."""

    message_metadata: dict[str, Any] | None = None


class ShownMessages(RootModel[list[Shown]]):
    """The oldest first."""


class AgentSaid(BaseModel):
    """A message of an agent is kept; people had said this meanwhile."""

    success: Literal[True] = True
    agent_instance_id: str
    message_id: str
    queued_user_messages: list[Spoken]


class Pending(BaseModel):
    """What people said since; `stale`: somebody else has read it."""

    agent_instance_id: str
    messages: list[Spoken]
    status: Literal["ok", "stale"]


class UserSaid(BaseModel):
    """A message to an agent is kept."""

    success: Literal[True] = True
    message_id: str
    marked_as_read: bool


class InputRequested(BaseModel):
    """The message asks for input now; people had said this meanwhile."""

    success: Literal[True] = True
    message_id: str
    agent_instance_id: str
    messages: list[Spoken]
    status: Literal["ok", "stale"]


class InstanceTransport(BaseModel):
    """How the agent talks, in its own word."""

    transport: str


class Registered(BaseModel):
    """An instance that was made."""

    agent_instance_id: str
    agent_type_id: str
    agent_type_name: str
    status: str
    name: str | None
    instance_metadata: InstanceTransport


class InstanceShown(BaseModel):
    """An instance as it stands."""

    model_config = _DOCUMENTED

    id: str
    agent_type_id: str
    agent_type_name: str
    name: str | None
    status: str
    started_at: str
    ended_at: str | None
    git_diff: str | None
    messages: list[Shown]
    last_read_message_id: str | None
    last_heartbeat_at: str | None
    instance_metadata: InstanceTransport
    task_id: str
    """Of the task that it is, as the orchestrator surface writes it."""


class Key(BaseModel):
    """A key of an instance, never with its text."""

    id: str
    expires_at: str
    revoked_at: str | None


class Keys(BaseModel):
    """None for an instance that nobody dispatched."""

    keys: list[Key]


class Success(BaseModel):
    """It is done."""

    success: Literal[True] = True


class Ended(BaseModel):
    """The session is over."""

    success: Literal[True] = True
    agent_instance_id: str
    final_status: str


class HeartbeatHeard(BaseModel):
    """When the agent was alive."""

    agent_instance_id: str
    last_heartbeat_at: str


class Verified(BaseModel):
    """Who the credential says that its holder is."""

    success: Literal[True] = True
    user_id: str
    email: str = ""
    display_name: str
    message: Literal["Authentication successful"] = "Authentication successful"


class DispatchTaken(BaseModel):
    """The wish is on disk; GitHub is asked after that."""

    model_config = _DOCUMENTED

    success: Literal[True] = True
    message: str
    agent_instance_id: str
    task_id: str
    status: Literal["queued", "held"]
    approval_id: str | None = None
    """What somebody has to approve first."""


class Attempt(BaseModel):
    """One request to GitHub."""

    outcome: str
    status: int | None
    error: str
    at: str


class DispatchShown(BaseModel):
    """What was asked of GitHub."""

    model_config = _DOCUMENTED

    status: str
    """wanted, accepted, running, over or given_up."""
    code: str
    error: str
    attempts: list[Attempt]


class Run(BaseModel):
    """A run, in GitHub's words, that a dispatch of ours started; or a dispatch of which no run is known."""

    model_config = _DOCUMENTED

    id: int | None
    name: str
    event: Literal["repository_dispatch"] = "repository_dispatch"
    status: str
    conclusion: str | None
    html_url: str
    display_title: str
    created_at: str
    agent_instance_id: str
    task_id: str
    dispatch: DispatchShown


class Runs(BaseModel):
    """The newest first."""

    total_count: int
    workflow_runs: list[Run]
