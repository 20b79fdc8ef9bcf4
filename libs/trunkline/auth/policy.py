"""Who may do what, as one table and one pure question."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from trunkline.auth.principal import Principal, Role


class Action(StrEnum):
    """Everything that a route may do. A route without one of these cannot be written."""

    READ_HEALTH = "health.read"
    SUBMIT_TASK = "task.submit"
    READ_TASK = "task.read"
    CANCEL_TASK = "task.cancel"
    READ_PULL_REQUEST = "pull_request.read"


_READ: Final = frozenset({Action.READ_HEALTH, Action.READ_TASK, Action.READ_PULL_REQUEST})
_WORK: Final = _READ | {Action.SUBMIT_TASK, Action.CANCEL_TASK}

ALLOWED: Final[Mapping[Role, frozenset[Action]]] = {
    Role.ANONYMOUS: _WORK,
    Role.USER: _WORK,
    Role.AGENT: _WORK,
    Role.APPROVER: _READ,
    Role.ADMIN: frozenset(Action),
}


def may(principal: Principal, action: Action) -> bool:
    """Whether the role of the caller allows the action at all; whose thing it is, its owner decides."""
    return action in ALLOWED[principal.role]
