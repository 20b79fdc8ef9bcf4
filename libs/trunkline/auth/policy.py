"""Who may do what, as one table and one pure question."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.task import Visibility


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
    READ_WEBHOOK = "webhook.read"
    """Not for everybody who reads tasks: the addresses of many receivers are as good as their keys."""
    CHANGE_WEBHOOK = "webhook.change"
    """It sends out of the house what a whole tenant does."""
    READ_LETTER = "letter.read"
    """It shows what whoever runs the house looks into when something failed, whosever it was."""
    CHANGE_LETTER = "letter.change"
    READ_OWN_WEBHOOK = "own_webhook.read"
    CHANGE_OWN_WEBHOOK = "own_webhook.change"
    """It hears of its owner's own jobs alone."""
    READ_PULL_REQUEST = "pull_request.read"
    READ_SHOWN = "shown.read"
    """Anybody may who holds the link: it was signed for what it shows."""
    MINT_REALTIME = "realtime.mint"
    """A ticket for a channel of its tenant: it hears what whoever reads tasks may read."""
    READ_REALTIME = "realtime.read"
    """Anybody may who holds a ticket: it says which tenant, channel and topics."""
    REGISTER = "engine.register"
    """Anybody may try, and is told that nothing registers here."""
    READ_SANDBOX = "sandbox.read"
    USE_SANDBOX = "sandbox.use"
    """A caller's own: they cost the house what they run."""
    CALL_HOME = "instance.call"
    """An agent elsewhere says how it goes: its owner's credential does, or the key of its instance, which reaches that alone."""
    READ_INSTANCE = "instance.read"
    TALK_TO_INSTANCE = "instance.talk"
    DISPATCH = "github.dispatch"
    """It starts a workflow in somebody's repository, on the house's account."""
    READ_DISPATCH = "github.read"
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
        Action.READ_REALTIME,
        Action.REGISTER,
        Action.MINT_TOKEN,
        Action.FORGE_NEWS,
    }
)
_READ: Final = frozenset(
    {
        Action.LOOK_AROUND, Action.MINT_TOKEN, Action.REVOKE_TOKEN, Action.READ_SELF, Action.OPEN_READ, Action.READ_PULL_REQUEST,
        Action.READ_SHOWN, Action.READ_REALTIME, Action.READ_TASK, Action.READ_TRACE, Action.READ_USAGE,
        Action.READ_APPROVAL, Action.READ_SANDBOX, Action.READ_INSTANCE, Action.READ_DISPATCH,
    }
)  # fmt: skip
_WORK: Final = frozenset(
    {Action.SUBMIT_TASK, Action.UPDATE_TASK, Action.CANCEL_TASK, Action.STEER_TASK, Action.PUBLISH_EVENT, Action.DECIDE_APPROVAL}
    | {Action.USE_SANDBOX, Action.CALL_HOME, Action.TALK_TO_INSTANCE, Action.DISPATCH}
)
_OWN: Final = frozenset({Action.READ_OWN_WEBHOOK, Action.CHANGE_OWN_WEBHOOK})
"""What whoever may have jobs of its own may do about them."""

ALLOWED: Final[Mapping[Role, frozenset[Action]]] = {
    Role.ANONYMOUS: _OPEN,
    Role.GUEST: _OPEN | _OWN,
    Role.INSTANCE: frozenset({Action.LOOK_AROUND, Action.CALL_HOME, Action.READ_INSTANCE, Action.TALK_TO_INSTANCE}),
    Role.USER: _OPEN | _READ | _OWN | {Action.MINT_REALTIME},
    Role.AGENT: _OPEN | _READ | _WORK | _OWN | {Action.READ_WEBHOOK, Action.MINT_REALTIME},
    Role.APPROVER: _READ | {Action.DECIDE_APPROVAL},
    Role.ADMIN: frozenset(Action),
}
_ALONE: Final = frozenset({Role.ANONYMOUS, Role.GUEST, Role.INSTANCE})
"""Whom nobody here let into a tenant."""


def may(principal: Principal, action: Action) -> bool:
    """Whether the role of the caller allows the action at all; whose thing it is, its owner decides."""
    return action in ALLOWED[principal.role]


def who_may(action: Action) -> tuple[Role, ...]:
    """The roles that allow it, the least of them first."""
    return tuple(role for role in Role if action in ALLOWED[role])


def connects(principal: Principal) -> bool:
    """Whether the caller may connect to the bus as an agent: people have the other doors."""
    return principal.role in (Role.AGENT, Role.ADMIN)


def owns(principal: Principal, submitted_by: str) -> bool:
    """Whether a task of its tenant is the caller's: a stranger's is what strangers made, a guest's its own, and everybody else's is all."""
    return principal.role not in _ALONE or submitted_by == principal.subject


def sees_all(principal: Principal) -> bool:
    """Whether nothing in its tenant is hidden from the caller: whoever runs the house must be able to look after it."""
    return principal.role is Role.ADMIN


def sees(principal: Principal, submitted_by: str, visibility: Visibility) -> bool:
    """Whether a task of its tenant is there for the caller at all."""
    match visibility:
        case Visibility.OPEN:
            return True
        case Visibility.PRIVATE:
            return owns(principal, submitted_by)
        case Visibility.OWNER:
            return sees_all(principal) or submitted_by == principal.subject


def sees_approvals(principal: Principal) -> bool:
    """Whether every approval of its tenant is there for the caller, whosever task asks: what rules ask of people, people must decide."""
    return sees_all(principal) or principal.role is Role.APPROVER
