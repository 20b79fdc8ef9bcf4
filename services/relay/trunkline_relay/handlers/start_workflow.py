"""A workflow is to be started: it is said first, then asked of GitHub once, and what came of that is kept."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Final

from trunkline.auth.instance_keys import InstanceKeys
from trunkline.contracts.dispatch import LONGEST_EVENT_TYPE, MOST_PAYLOAD, Outcome, Workflow, payload_size
from trunkline.contracts.errors import DomainError, Unsupported
from trunkline.contracts.ids import TaskId, TenantId, wire_id
from trunkline.runtime.faults import faultpoint
from trunkline_relay.handlers.answered import answered_by
from trunkline_relay.handlers.dispatch_log import DispatchLog
from trunkline_relay.model.dispatch import Begin, Came, Refuse, Want
from trunkline_relay.model.dispatch_steps import REFUSED, Scene, Stop
from trunkline_relay.model.dispatch_trying import Answered, Pauses, again_at
from trunkline_relay.model.home_task import HomeTask
from trunkline_relay.ports import DueDispatch, Start, Workflows

HANDS: Final = 16
"""Requests at once: GitHub wants a second between two, and nobody waits long for his turn."""
OUTLIVES: Final = timedelta(hours=1)
"""By which a key outlives its task: what its agent says at the very end still arrives."""
TOO_LARGE: Final = "DISPATCH_TOO_LARGE"


class StartWorkflow:
    def __init__(self, book: DispatchLog, workflows: Workflows, keys: InstanceKeys, event_type: str, pauses: Pauses) -> None:
        self._book = book
        self._workflows = workflows
        self._keys = keys
        self._event_type = event_type
        self._pauses = pauses
        self._hands = asyncio.Semaphore(HANDS)

    @property
    def busy(self) -> bool:
        return self._hands.locked()

    async def want(self, due: DueDispatch, task: HomeTask) -> None:
        """Say that it is wanted, before anything is asked."""
        faultpoint("dispatch_wanted.before_effect")
        cue = self._wanted(due, task)
        faultpoint("dispatch_wanted.after_effect")
        await self._book.receive(due, cue)
        faultpoint("dispatch_wanted.after_record")

    def _wanted(self, due: DueDispatch, task: HomeTask) -> Want | Refuse:
        asked = task.assignment
        workflow = asked.workflow or Workflow()
        key_id = sha256(f"{due.tenant}/{due.task}/{task.attempt}".encode()).hexdigest()[:16]
        if not asked.repo:
            return Refuse(task.attempt, REFUSED, "a workflow is started in a repository, and the task names none")
        try:
            key = self._keys.minted(TenantId(due.tenant), TaskId(due.task), key_id, task.deadline_at + OUTLIVES)
        except Unsupported as error:
            return Refuse(task.attempt, error.code, error.message)
        return Want(
            attempt=task.attempt,
            repo=asked.repo,
            event_type=workflow.event_type or self._event_type,
            branch=asked.branch or "main",
            agent_type=workflow.agent_type,
            installation_id=workflow.installation_id,
            key=key,
        )

    async def send(self, due: DueDispatch, scene: Scene, number: int) -> Stop | None:
        """Request `number`, unless somebody else sends it. What can never be sent is given back as the end of it."""
        try:
            start = self._start(due, scene)
        except Unsupported as error:  # relays that hold another key, or none, since it was wanted
            return Stop(error.code, error.message)
        if size := _too_large(start.event_type, start.payload):
            return Stop(TOO_LARGE, size)
        async with self._hands:
            decided = await self._book.receive(due, Begin(number))
            if not decided.facts:
                return None
            faultpoint("dispatch_sent.before_effect")
            answered = await self._asked(start)
            faultpoint("dispatch_sent.after_effect")
            at = again_at(answered, number, self._book.now(), self._pauses, random.random())
            await self._book.receive(due, Came(number, answered.outcome, answered.status, answered.error, at))
            faultpoint("dispatch_sent.after_record")
        return None

    async def _asked(self, start: Start) -> Answered:
        try:
            await self._workflows.start(start)
        except DomainError as error:
            return answered_by(error)
        return Answered(Outcome.ACCEPTED, 204)

    def _start(self, due: DueDispatch, scene: Scene) -> Start:
        dispatch = scene.dispatch
        key = self._keys.text(TenantId(due.tenant), TaskId(due.task), dispatch.key.key_id, dispatch.key.expires_at)
        payload = {
            "agent_instance_id": wire_id(due.task),
            "prompt": scene.task.assignment.prompt,
            "omnara_api_key": key,
            "branch_name": dispatch.branch,
            "agent_type": dispatch.agent_type,
        }
        return Start(dispatch.repo, dispatch.event_type, payload, dispatch.installation_id)


def _too_large(event_type: str, payload: Mapping[str, str]) -> str:
    """Why GitHub would not take it, as a sentence; empty when it would."""
    if len(event_type) > LONGEST_EVENT_TYPE:
        return f"the event type has {len(event_type)} characters, and GitHub takes {LONGEST_EVENT_TYPE}"
    size = payload_size(payload)
    return f"the payload has {size} bytes, and GitHub takes {MOST_PAYLOAD}; give a shorter prompt" if size > MOST_PAYLOAD else ""
