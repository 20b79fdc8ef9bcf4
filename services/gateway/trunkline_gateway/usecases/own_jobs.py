"""The jobs of one caller and of nobody else, whatever it asks for: by its credential, or a stranger's by the fingerprint it names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import Invalid, Unauthenticated
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import TaskStatus
from trunkline.contracts.views import ListTasks, TaskPage
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.strangers import SHORTEST
from trunkline_gateway.usecases.tasks import Tasks

NOBODY: Final = TenantId("-")
"""Stands in the tenant's place until `Tasks` says whose list it is."""
_MARK: Final = "[redacted:"
"""What stands in a label where a secret was: many may have it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which of them; empty filters nothing."""

    surface: str
    statuses: tuple[TaskStatus, ...] = ()
    fingerprint: str | None = None
    login: str | None = None
    limit: int = 10
    offset: int = 0


def kept_fingerprint(fingerprint: str | None) -> str | None:
    """What a job is labelled with. One that holds a secret tells nobody apart once that is struck out, so it is not kept at all."""
    return fingerprint if fingerprint and struck.text(fingerprint) == fingerprint and _MARK not in fingerprint else None


async def own_jobs(tasks: Tasks, principal: Principal, wish: Wish) -> TaskPage:
    """A page, newest first. Raises Unauthenticated for a stranger without a fingerprint, for all strangers go by one name;
    Invalid for one that is soon guessed."""
    if principal.role is Role.ANONYMOUS and not wish.fingerprint:
        message = "jobs are listed by who asks: show a credential that counts here, or name the fingerprint that they were sent with"
        raise Unauthenticated(message, code="AUTH_REQUIRED")
    if principal.role is Role.ANONYMOUS and len(wish.fingerprint or "") < SHORTEST:
        raise Invalid(f"fingerprint: a stranger is known by one of {SHORTEST} characters or more: a shorter one is soon guessed")
    if wish.fingerprint and not kept_fingerprint(wish.fingerprint):
        return TaskPage(tasks=(), total=0)
    query = ListTasks(
        tenant=NOBODY,
        at=tasks.now(),
        statuses=wish.statuses,
        submitted_by=principal.subject,
        surface=wish.surface,
        fingerprint=wish.fingerprint,
        login=None if _means_itself(principal, wish.login) else wish.login,
        limit=wish.limit,
        offset=wish.offset,
    )
    return await tasks.list(principal, query)


def _means_itself(principal: Principal, login: str | None) -> bool:
    """Whatever it was called when it asked, its jobs are its own."""
    return bool(login and principal.name) and str(login).lower() == principal.name.lower()
