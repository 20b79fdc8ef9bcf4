"""Dispatches: workflow runs that are started at GitHub for tasks, followed, cancelled, and the keys that they call home with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import Field

from trunkline.contracts.ids import Token
from trunkline.contracts.message import Command, Fact, Message

SERVICE: Final = "relay"
LONGEST_EVENT_TYPE: Final = 100
"""Characters; GitHub takes no more."""
MOST_PAYLOAD: Final = 65_535
"""Bytes of the client payload as JSON; GitHub takes no more (its documents say less than 64 KB)."""
COMPLETED: Final = "completed"
"""GitHub's word for a run that is over."""
SUCCESS: Final = "success"
WITHDRAWN: Final = "WITHDRAWN"
"""Given up because nobody wants it any more."""
Word = Annotated[str, Field(max_length=64)]


def payload_size(payload: Mapping[str, str]) -> int:
    """Bytes of a client payload as GitHub counts them: letters beyond ASCII have two to four."""
    return len(json.dumps(payload, ensure_ascii=False).encode("utf-8", "surrogatepass"))


class Outcome(StrEnum):
    """What came of one request to GitHub."""

    BEGUN = "begun"
    """It is about to be sent; should nothing follow, nobody knows."""
    ACCEPTED = "accepted"
    CONNECTION_ERROR = "connection_error"
    """It never got there."""
    REQUEST_FAILED = "request_failed"
    """It was refused, with a status."""
    TIMEOUT = "timeout"
    ERROR = "error"
    """It may have been done, or not."""


class SeenBy(StrEnum):
    """How a run was found to be the one."""

    CALLBACK = "callback"
    WEBHOOK = "webhook"
    LISTING = "listing"
    TOLD = "told"
    """Its own workflow said so, and GitHub says the same."""


class Workflow(Message):
    """How a workflow is started for a task, beyond what every task says."""

    event_type: str = Field(default="", max_length=LONGEST_EVENT_TYPE)
    """Empty: the installation's own."""
    agent_type: str = Field(default="general", max_length=200)
    installation_id: int | None = Field(default=None, ge=1)
    """Of the GitHub App; None: found by the repository."""


class KeyMinted(Message):
    """A key of an instance, without its text."""

    key_id: str
    sha256: str
    """Of the text (hex)."""
    expires_at: datetime


class WorkflowRun(Message):
    """A run as GitHub tells of it."""

    run_id: int = Field(ge=1)
    run_attempt: int = Field(default=1, ge=1)
    url: str = Field(default="", max_length=1000)
    status: Word
    """queued, in_progress, completed, and whatever GitHub says besides."""
    conclusion: Word = ""
    """success, failure, cancelled, timed_out …; empty while it runs."""
    title: str = Field(default="", max_length=1000)
    created_at: datetime | None = None


class ReportWorkflowRun(Command):
    """Somebody says how a run stands: GitHub by a webhook, or the workflow itself. Saying the same again changes nothing."""

    type: Literal["report_workflow_run"] = "report_workflow_run"
    task_id: Token
    """`-`: the relay finds it by the run."""
    repo: str = Field(max_length=300)
    run: WorkflowRun
    how: SeenBy


class DispatchWanted(Fact):
    """A workflow is to be started: said before anything is asked of GitHub."""

    type: Literal["dispatch.wanted"] = "dispatch.wanted"
    attempt: int
    repo: str
    event_type: str
    branch: str
    agent_type: str
    installation_id: int | None = None
    key: KeyMinted


class DispatchTried(Fact):
    type: Literal["dispatch.tried"] = "dispatch.tried"
    number: int
    """Counts from 1."""
    outcome: Outcome
    status: int | None = None
    """Of GitHub's answer."""
    error: str = ""
    again_at: datetime | None = None
    """When it is tried, or looked at, again."""


class WorkflowRunSeen(Fact):
    """A run was found, or stands otherwise than before."""

    type: Literal["dispatch.run_seen"] = "dispatch.run_seen"
    attempt: int
    run: WorkflowRun
    how: SeenBy


class WorkflowRunTold(Fact):
    """Whoever holds the key of an instance says which run is its own: nothing follows from it before GitHub says so too."""

    type: Literal["dispatch.run_told"] = "dispatch.run_told"
    attempt: int
    run_id: int
    run_attempt: int = 1
    refused: str = ""
    """Why it is not believed; empty: GitHub was not asked yet."""


class DispatchGivenUp(Fact):
    """No run will come of it, or none that counts."""

    type: Literal["dispatch.given_up"] = "dispatch.given_up"
    attempt: int
    code: str
    error: str


class WorkflowCancelTried(Fact):
    type: Literal["dispatch.cancel_tried"] = "dispatch.cancel_tried"
    attempt: int
    run_id: int
    number: int
    outcome: Outcome
    status: int | None = None
    error: str = ""
    again_at: datetime | None = None


class InstanceKeyRevoked(Fact):
    type: Literal["dispatch.key_revoked"] = "dispatch.key_revoked"
    key_id: str
    why: str


DispatchFact = Annotated[
    DispatchWanted | DispatchTried | WorkflowRunSeen | WorkflowRunTold | DispatchGivenUp | WorkflowCancelTried | InstanceKeyRevoked,
    Field(discriminator="type"),
]
