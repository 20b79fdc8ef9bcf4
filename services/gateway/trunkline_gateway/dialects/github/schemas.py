"""What is understood of GitHub's deliveries; everything else in them is passed over."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_OPEN = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)


class Account(BaseModel):
    model_config = _OPEN

    login: str = Field(default="ghost", max_length=100)
    type: str = "User"

    @property
    def human(self) -> bool:
        return self.type == "User"


class Repository(BaseModel):
    model_config = _OPEN

    full_name: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}/\.?[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$")
    default_branch: str = Field(default="main", min_length=1, max_length=200)


class Named(BaseModel):
    model_config = _OPEN

    name: str


class Home(BaseModel):
    model_config = _OPEN

    full_name: str = ""


class Branch(BaseModel):
    model_config = _OPEN

    ref: str = Field(max_length=255)
    repo: Home | None = None
    """None where a fork was deleted."""


class Linked(BaseModel):
    """That an issue is a pull request; nothing of it is read."""

    model_config = _OPEN


class Comment(BaseModel):
    model_config = _OPEN

    body: str = ""
    author_association: str = "NONE"
    user: Account = Account()


class Issue(BaseModel):
    """An issue, or a pull request where it stands as one."""

    model_config = _OPEN

    number: int = Field(ge=1)
    title: str = ""
    body: str | None = None
    html_url: str = ""
    state: str = "open"
    pull_request: Linked | None = None


class PullRequest(Issue):
    merged: bool | None = None
    base: Branch | None = None
    head: Branch | None = None


class WorkflowRunTold(BaseModel):
    model_config = _OPEN

    id: int = Field(ge=1)
    run_attempt: int = Field(default=1, ge=1)
    event: str = ""
    status: str = Field(default="queued", max_length=64)
    conclusion: str | None = Field(default=None, max_length=64)
    display_title: str = ""
    html_url: str = ""
    created_at: datetime | None = None


class Delivery(BaseModel):
    """The body of a delivery; which of its parts are there depends on the event."""

    model_config = _OPEN

    action: str = ""
    sender: Account = Account()
    repository: Repository | None = None
    comment: Comment | None = None
    issue: Issue | None = None
    pull_request: PullRequest | None = None
    label: Named | None = None
    workflow_run: WorkflowRunTold | None = None


class DeliveryHeaders(BaseModel):
    """The headers by which a delivery is told."""

    model_config = _OPEN

    event: str = Field(
        alias="X-GitHub-Event", description="`issue_comment`, `issues`, `pull_request`, `workflow_run` or `ping`; others are passed over."
    )
    delivery: str = Field(alias="X-GitHub-Delivery", description="The same one again changes nothing.")
    signature: str = Field(alias="X-Hub-Signature-256", description="`sha256=` and the HMAC of the raw body.")


class Heard(BaseModel):
    """What came of a delivery."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["started", "noted", "ignored", "pong"]
    task_id: str | None = None
    """32 hex digits: the task that was started, or that the news was about."""
    reason: str | None = None
    """Why nothing was done."""


class Problem(BaseModel):
    """A refusal, as GitHub words its own."""

    message: str
