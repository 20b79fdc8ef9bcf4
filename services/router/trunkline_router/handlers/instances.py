"""Commands to instances: what agents that call home say and take, and what people tell them."""

from __future__ import annotations

from datetime import timedelta

import orjson
from pydantic import JsonValue

from trunkline.bus import Log
from trunkline.contracts.errors import Conflict, Denied, Invalid, NotFound
from trunkline.contracts.instance import (
    AskInput,
    GetInstance,
    InstanceSaid,
    MoveInstance,
    OpenInstance,
    ReadInstance,
    SayAsInstance,
    SettleInput,
    TellInstance,
    instance_subject,
)
from trunkline.contracts.instance_views import fold_instance, newest
from trunkline.contracts.message import Accepted, Message
from trunkline.runtime.actor import Actor, Decided
from trunkline.runtime.faults import faultpoint
from trunkline_router.handlers.instance_questions import Questions
from trunkline_router.handlers.instance_reading import InstanceReading
from trunkline_router.handlers.instance_tasks import InstanceTasks
from trunkline_router.model import instance_answers as answers
from trunkline_router.model.instance import Instance
from trunkline_router.model.instance_cues import InstanceCue, InstanceWish, Opening, Wished
from trunkline_router.model.instance_life import decide, opened_by
from trunkline_router.ports import DueTask


class Instances:
    """The door to every instance."""

    def __init__(self, actor: Actor[Instance, InstanceCue], tasks: InstanceTasks, log: Log, repeat: timedelta) -> None:
        """`repeat`: for how long the same again may be the same, whose answer was lost."""
        self._actor = actor
        self._tasks = tasks
        self._questions = Questions(actor, log)
        self._reading = InstanceReading(log)
        self._log = log
        self._repeat = repeat

    async def open(self, wish: OpenInstance) -> Accepted:
        """Raises Conflict for one that is there: then its agent has called at least; Denied for somebody else's."""
        try:
            decided = await self._carry_out(wish)
        except Conflict:
            await self._carry_out(ReadInstance(tenant=wish.tenant, at=wish.at, task_id=wish.task_id, by=wish.by))
            raise
        return _accepted(decided, answers.standing(wish.task_id, _there(decided)))

    async def say(self, wish: SayAsInstance) -> Accepted:
        """Raises Invalid for an instance that is not there, Denied, Conflict."""
        faultpoint("instance_said.before_effect")
        await self._questions.settled(_due(wish), wish.at)  # what was decided meanwhile goes out with this answer
        decided = await self._carry_out(wish)
        faultpoint("instance_said.after_effect")
        answer = _accepted(decided, answers.said(wish, _there(decided)))
        faultpoint("instance_said.after_record")
        return answer

    async def tell(self, wish: TellInstance) -> Accepted:
        """Raises NotFound, Conflict."""
        await self._questions.settled(_due(wish), wish.at)
        decided = await self._carry_out(wish)
        return _accepted(decided, answers.told(wish, _there(decided)))

    async def ask(self, wish: AskInput) -> Accepted:
        """Raises NotFound for a message that is not there, Denied, Conflict."""
        stands = await self._questions.settled(_due(wish), wish.at)
        old = stands is not None and wish.message_id in stands.instance.asks and wish.message_id != stands.instance.newest
        decided = await self._carry_out(wish, await self._said(wish) if old else "")
        return _accepted(decided, answers.asked(wish, _there(decided)))

    async def read(self, wish: ReadInstance) -> Accepted:
        """Raises Invalid for an instance that is not there, Denied."""
        faultpoint("instance_read.before_effect")
        stands = await self._questions.settled(_due(wish), wish.at)
        # Agents ask every few seconds, and hardly ever is there anything: such a poll is answered without a look at the whole log.
        if stands and not decide(stands.instance, self._wished(wish)):
            instance, seq = stands
        else:
            decided = await self._carry_out(wish)
            instance, seq = _there(decided), decided.seq
        faultpoint("instance_read.after_effect")
        answer = Accepted(seq=seq, body=_body(answers.pending(wish, instance, self._repeat)))
        faultpoint("instance_read.after_record")
        return answer

    async def move(self, wish: MoveInstance) -> Accepted:
        """Raises Invalid for an instance that is not there, Denied, Conflict."""
        decided = await self._carry_out(wish)
        return _accepted(decided, answers.standing(wish.task_id, _there(decided)))

    async def settle(self, wish: SettleInput) -> Accepted:
        """Raises NotFound."""
        stands = await self._questions.settled(_due(wish), wish.at)
        if stands is None:
            raise _nowhere()
        return Accepted(seq=stands.seq, body=_body(answers.standing(wish.task_id, stands.instance)))

    async def get(self, wish: GetInstance) -> Accepted:
        """One whose agent has not begun yet looks as it will. Raises NotFound."""
        due = _due(wish)
        view, seq, _ = await self._reading.now(due)
        if view is None and (begun := await self._tasks.begun(due)):
            view = fold_instance(None, opened_by(begun.opening), begun.at, (due.tenant, due.task))
        if view is None:
            raise _nowhere()
        return Accepted(seq=seq, body=_body(newest(view, wish.messages, wish.before)))

    async def _carry_out(self, wish: InstanceWish, text: str = "") -> Decided[Instance]:
        due = _due(wish)
        try:
            return await self._receive(due, wish, self._wished(wish, text=text))
        except (Invalid, NotFound) as error:
            if error.code not in ("INSTANCE_UNKNOWN", "INSTANCE_NOT_FOUND"):
                raise
            opening = await self._opening(due, wish)
            if opening is None:
                raise
        return await self._receive(due, wish, self._wished(wish, opening, text))

    async def _opening(self, due: DueTask, wish: InstanceWish) -> Opening | None:
        """Of a task that is there, or is made now. Raises Denied where the id is that of another task."""
        begun = await self._tasks.begun(due)
        if begun is None and isinstance(wish, OpenInstance | SayAsInstance) and wish.agent_type:
            begun = await self._tasks.make(due, wish)
            if begun is None:
                raise Denied("there is another task by this id", code="INSTANCE_NOT_YOURS")
        return begun.opening if begun else None

    async def _receive(self, due: DueTask, wish: InstanceWish, cue: Wished) -> Decided[Instance]:
        return await self._actor.receive(due.instance, cue, wish.at, cause=wish.type)

    def _wished(self, wish: InstanceWish, opening: Opening | None = None, text: str = "") -> Wished:
        return Wished(wish, instance_subject(wish.task_id), self._repeat, opening, text)

    async def _said(self, wish: AskInput) -> str:
        """What an older message says: only the newest is remembered."""
        loaded = await self._log.load(_due(wish).instance)
        facts = (fact for stored in loaded.records for fact in stored.record.facts)
        return next((fact.text for fact in facts if isinstance(fact, InstanceSaid) and fact.message_id == wish.message_id), "")


def _due(wish: InstanceWish | SettleInput | GetInstance) -> DueTask:
    return DueTask(tenant=wish.tenant, task=wish.task_id)


def _there(decided: Decided[Instance]) -> Instance:
    assert decided.state is not None
    return decided.state


def _accepted(decided: Decided[Instance], body: Message) -> Accepted:
    return Accepted(seq=decided.seq, body=_body(body))


def _body(answer: Message) -> dict[str, JsonValue]:
    body: dict[str, JsonValue] = orjson.loads(answer.written())
    return body


def _nowhere() -> NotFound:
    return NotFound("there is no such instance", code="INSTANCE_NOT_FOUND")
