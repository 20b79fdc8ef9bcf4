"""The ends of a dispatch: its run is cancelled, it is given up, its key counts no more."""

from __future__ import annotations

import base64
import random
from typing import Final

import structlog

from trunkline.auth.instance_keys import revocation
from trunkline.bus.dead import DeadLetter
from trunkline.bus.streams import EVENTS
from trunkline.contracts import subjects
from trunkline.contracts.dispatch import WITHDRAWN, Outcome
from trunkline.contracts.errors import DomainError
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.runtime.faults import faultpoint
from trunkline_relay.handlers.answered import answered_by
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.model.dispatch import CancelCame, GiveUp, Revoke
from trunkline_relay.model.dispatch_steps import Scene, Stop
from trunkline_relay.model.dispatch_trying import Answered, Pauses, cancel_again_at
from trunkline_relay.ports import DueDispatch, Letters, Revocations, Workflows

log = structlog.get_logger()
DESK: Final = "dispatch"


class EndDispatch:
    def __init__(self, book: DispatchLog, workflows: Workflows, roll: Revocations, letters: Letters, pauses: Pauses) -> None:
        self._book = book
        self._workflows = workflows
        self._roll = roll
        self._letters = letters
        self._pauses = pauses

    async def revoke(self, due: DueDispatch, why: str) -> None:
        """Its key opens nothing any more. Said last, so that what is said is done. Raises Unavailable."""
        dispatch = await self._book.dispatch(due)
        if dispatch is None or dispatch.revoked:
            return
        faultpoint("key_revoked.before_effect")
        until = dispatch.key.expires_at.timestamp()
        await self._roll.revoke_token(revocation(TenantId(due.tenant), TaskId(due.task), dispatch.key), until)
        faultpoint("key_revoked.after_effect")
        await self._book.receive(due, Revoke(why))
        faultpoint("key_revoked.after_record")

    async def cancel(self, due: DueDispatch, scene: Scene, number: int) -> None:
        """Ask GitHub to end the run; twice does no harm."""
        dispatch = scene.dispatch
        if dispatch.run is None:
            return
        answered = Answered(Outcome.ACCEPTED)
        try:
            await self._workflows.cancel(dispatch.repo, dispatch.run.run_id, dispatch.installation_id)
        except DomainError as error:
            answered = answered_by(error)
        at = cancel_again_at(answered, number, self._book.now(), self._pauses, random.random())
        await self._book.receive(due, CancelCame(answered.outcome, answered.status, answered.error, at))

    async def give_up(self, due: DueDispatch, scene: Scene, stop: Stop) -> None:
        """The letter lies there before it is said: one that is said has its letter."""
        if stop.code != WITHDRAWN:
            await self._letters.keep(_letter(due, scene, stop), TenantId(due.tenant), due.task)
        await self._book.receive(due, GiveUp(stop.code, stop.error))
        log.warning("dispatch.given_up", task=due.task, repo=scene.dispatch.repo, code=stop.code)


def _letter(due: DueDispatch, scene: Scene, stop: Stop) -> DeadLetter:
    """What was to be started, without the key and the prompt."""
    return DeadLetter(
        consumer=DESK,
        stream=EVENTS,
        seq=0,
        subject=subjects.event(TenantId(due.tenant), TaskId(due.task), subjects.DISPATCH),
        reason=f"{stop.code}: {stop.error}"[:2000],
        tries=scene.dispatch.tries,
        body=base64.b64encode(due.written()).decode(),
    )
