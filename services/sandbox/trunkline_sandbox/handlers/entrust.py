"""The token that a caller gave with its task: opened for each step of its run, known to what strikes secrets, forgotten at the end."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from trunkline.bus import Stored, Vault
from trunkline.contracts import subjects
from trunkline.contracts.errors import Denied, Unsupported
from trunkline.contracts.ids import TenantId
from trunkline.contracts.task import ENDS, Assignment
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.handlers.world import Job

KIND: Final = "github-token"
GONE: Final = (
    "The token that was given with this task cannot be had any more: it is kept for 8 days, forgotten at the end of a task, and opened "
    "only with the key that it was sealed with (TRUNKLINE_VAULT_KEY, the same for gateway and sandbox). Submit it again, with a token."
)


class Entrust:
    """Asked anew at each step, so that whoever takes a run up, after a park or a crash, has what the one before had."""

    def __init__(self, vault: Vault, redactor: Redactor) -> None:
        self._vault = vault
        self._redactor = redactor

    async def __call__(self, job: Job) -> Job:
        """The job with its caller's token; the same job where none was given. Raises Denied FORGE_CREDENTIAL, BusAway."""
        if job.assignment.credential is None:
            return job
        token = await self._opened(TenantId(job.item.tenant), job.item.task, job.assignment)
        if token is None:
            raise Denied(GONE, code="FORGE_CREDENTIAL")
        knowing = self._redactor.with_((KIND, token))
        job.log.strike(knowing)
        return replace(job, token=token, redactor=knowing)

    async def knowing(self, tenant: TenantId, task: str, assignment: Assignment) -> Redactor:
        """What strikes the secrets of a task out of what people say to its agent. Raises BusAway."""
        with suppress(Denied):
            token = await self._opened(tenant, task, assignment)
            return self._redactor.with_((KIND, token)) if token else self._redactor
        return self._redactor

    async def _opened(self, tenant: TenantId, task: str, assignment: Assignment) -> str | None:
        """Raises Denied where no key is there."""
        if assignment.credential != task:  # a task has its own token and no other's
            return None
        try:
            return await self._vault.get(tenant, task)
        except Unsupported as error:
            raise Denied(error.message, code="FORGE_CREDENTIAL") from None

    async def over(self, stored: Stored) -> None:
        """News of a task: one that is over needs no token, whatever came of it. Raises BusAway."""
        if any(isinstance(fact, ENDS) for fact in stored.record.facts):
            names = subjects.parse_event(stored.subject)
            await self._vault.forget(names.tenant, names.task)
