"""Who may do what, as one table and one pure question."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from trunkline.auth.principal import Principal, Role


class Action(StrEnum):
    """Everything that a route may do. A route without one of these cannot be written."""

    LOOK_AROUND = "open.look"
    """What anybody may see: health, counts, documents, pages about nobody."""
    OPEN_SUBMIT = "open.submit"
    OPEN_READ = "open.read"
    OPEN_CANCEL = "open.cancel"
    """The open surface: strangers may work there, and see nothing but their own."""
    MINT_TOKEN = "token.mint"
    """Whether the proof is good enough, and for which role, the token desk decides."""
    REVOKE_TOKEN = "token.revoke"
    READ_SELF = "self.read"
    SUBMIT_TASK = "task.submit"
    READ_TASK = "task.read"
    UPDATE_TASK = "task.update"
    CANCEL_TASK = "task.cancel"
    STEER_TASK = "task.steer"
    PUBLISH_EVENT = "event.publish"
    READ_TRACE = "traces.read"
    READ_USAGE = "usage.read"
    READ_APPROVAL = "approval.read"
    DECIDE_APPROVAL = "approval.decide"
    READ_PULL_REQUEST = "pull_request.read"
    READ_SHOWN = "shown.read"
    """Anybody may who holds the link: it was signed for what it shows."""
    FORGE_NEWS = "forge.news"
    """Anybody may: who it is shows in the signature of what is said."""


_OPEN: Final = frozenset(
    {
        Action.LOOK_AROUND,
        Action.OPEN_SUBMIT,
        Action.OPEN_READ,
        Action.OPEN_CANCEL,
        Action.READ_PULL_REQUEST,
        Action.READ_SHOWN,
        Action.MINT_TOKEN,
        Action.FORGE_NEWS,
    }
)
_READ: Final = frozenset(
    {
        Action.LOOK_AROUND, Action.MINT_TOKEN, Action.REVOKE_TOKEN, Action.READ_SELF, Action.OPEN_READ, Action.READ_PULL_REQUEST,
        Action.READ_SHOWN, Action.READ_TASK, Action.READ_TRACE, Action.READ_USAGE, Action.READ_APPROVAL,
    }
)  # fmt: skip
_WORK: Final = frozenset(
    {Action.SUBMIT_TASK, Action.UPDATE_TASK, Action.CANCEL_TASK, Action.STEER_TASK, Action.PUBLISH_EVENT, Action.DECIDE_APPROVAL}
)

ALLOWED: Final[Mapping[Role, frozenset[Action]]] = {
    Role.ANONYMOUS: _OPEN,
    Role.USER: _OPEN | _READ,
    Role.AGENT: _OPEN | _READ | _WORK,
    Role.APPROVER: _READ | {Action.DECIDE_APPROVAL},
    Role.ADMIN: frozenset(Action),
}


def may(principal: Principal, action: Action) -> bool:
    """Whether the role of the caller allows the action at all; whose thing it is, its owner decides."""
    return action in ALLOWED[principal.role]


def owns(principal: Principal, submitted_by: str) -> bool:
    """Whether the caller may see a task of its tenant: a stranger sees what strangers made, and everybody else sees all."""
    return principal.role is not Role.ANONYMOUS or submitted_by == principal.subject
