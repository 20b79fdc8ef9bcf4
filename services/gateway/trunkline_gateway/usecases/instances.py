"""What agents elsewhere and people say to each other, and how it stands with those agents."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from pydantic import JsonValue, ValidationError

from trunkline.auth.principal import Principal, Role
from trunkline.contracts.errors import Denied, Invalid, NotFound, TooLarge
from trunkline.contracts.ids import (
    TaskId,
    TenantId,
    alias_of_message,
    instance_alias,
    instance_task_id,
    message_alias,
    message_id,
    uuid_hex,
)
from trunkline.contracts.instance import (
    AskInput,
    GetInstance,
    InstanceAnswer,
    InstanceStatus,
    MoveInstance,
    OpenInstance,
    PendingAnswer,
    ReadInstance,
    SaidAnswer,
    SayAsInstance,
    TellInstance,
    ToldAnswer,
    instance_subject,
)
from trunkline.contracts.instance_views import InstanceView
from trunkline.contracts.message import Command
from trunkline_gateway.ports import Beats
from trunkline_gateway.usecases import struck
from trunkline_gateway.usecases.lately import Lately
from trunkline_gateway.usecases.tasks import ROUTER, Tasks

BEAT_S: Final = 5.0
"""A sign of life so soon after another tells nothing new."""
LOOKED_S: Final = 60.0
"""Whoever was silent for so long may count as stale: its next sign is told to the owner, who then knows better."""
UNKNOWN: Final = "INSTANCE_UNKNOWN"
C = TypeVar("C", bound=Command)


class InstanceName(NamedTuple):
    """An instance as a caller names it; `text` is empty where the name is a UUID, which is the task's own id."""

    task: TaskId
    text: str = ""

    @classmethod
    def of(cls, said: str) -> InstanceName:
        digits = uuid_hex(said)
        return cls(TaskId(digits)) if digits else cls(instance_task_id(said), said)

    @property
    def aliases(self) -> tuple[str, ...]:
        """By which its task is found."""
        return (message_alias(self.task), *([instance_alias(self.text)] if self.text else []))


class Seed(NamedTuple):
    """What the id of a new message is made of; `kept`: of the same request, repeated, it is the same."""

    text: str
    kept: bool = False
    heard: str = ""
    """The message of the same words whose answer its sender is known to have had."""
    surely: bool = False
    """It is one that never repeats what was answered."""


@dataclass(frozen=True, slots=True)
class Registration:
    """`instance` is None where the caller leaves it to us."""

    agent_type: str
    name: str = ""
    transport: str = ""
    instance: InstanceName | None = None


@dataclass(frozen=True, slots=True)
class Saying:
    """What an agent says, in its own words."""

    text: str
    asks: bool = False
    agent_type: str = ""
    git_diff: str | None = None
    metadata: dict[str, JsonValue] = field(default_factory=dict)


def own_instance(principal: Principal) -> TaskId | None:
    """The one that the caller's key opens; None: the caller shows no such key."""
    return TaskId(principal.subject.removeprefix(instance_subject(""))) if principal.role is Role.INSTANCE else None


@dataclass(frozen=True, slots=True)
class Instances:
    """Every verb may raise Unavailable. Those of agents raise Invalid for an instance that is not there, Denied for another's."""

    tasks: Tasks
    beats: Beats
    now: Callable[[], datetime]
    _alive: Lately[bool] = field(default_factory=Lately, init=False)
    """Of each the last sign that was passed on, and whether it was ever heard to send heartbeats."""

    async def register(self, principal: Principal, asked: Registration, new: TaskId) -> InstanceAnswer:
        """`new` where no instance is named, but for a key, which knows one alone. Raises Conflict for one that is there."""
        name = asked.instance or InstanceName(own_instance(principal) or new)
        _check_own(principal, name.task)
        if name.text and own_instance(principal) is None:
            raise invalid_id()
        command = _made(
            OpenInstance, agent_type=struck.text(asked.agent_type), name=struck.text(asked.name), transport=asked.transport,
            aliases=name.aliases, **self._wish(principal, name.task),
        )  # fmt: skip
        answer = InstanceAnswer.model_validate(await self._sent(command, name.task))
        await self._lives(principal, name.task)
        return answer

    async def say(self, principal: Principal, name: InstanceName, said: Saying, seed: Seed) -> SaidAnswer:
        """Returns when it is on disk. Names that are no UUID make no instance. Raises Conflict for an instance that is full."""
        _check_own(principal, name.task)
        command = _made(
            SayAsInstance, message_id=message_id(name.task, seed.text), text=struck.text(said.text), asks=said.asks,
            agent_type="" if name.text else struck.text(said.agent_type), git_diff=said.git_diff and struck.text(said.git_diff),
            metadata=struck.values(said.metadata), named=seed.kept, heard=seed.heard, surely=seed.surely, aliases=name.aliases,
            **self._wish(principal, name.task),
        )  # fmt: skip
        try:
            answer = SaidAnswer.model_validate(await self._sent(command, name.task))
        except Invalid as error:
            if error.code == UNKNOWN and name.text and said.agent_type:
                raise invalid_id() from None
            raise
        await self._lives(principal, name.task)
        return answer

    async def pending(self, principal: Principal, name: InstanceName, after: str | None, *, again: bool) -> PendingAnswer:
        """`again`: the answer before this request may be lost."""
        _check_own(principal, name.task)
        command = ReadInstance(after=after, again=again, **self._wish(principal, name.task))
        answer = PendingAnswer.model_validate(await self._sent(command, name.task))
        await self._lives(principal, name.task)
        return answer

    async def tell(self, principal: Principal, name: InstanceName, text: str, seed: Seed, *, read: bool) -> ToldAnswer:
        """Returns when it is on disk. Raises NotFound, Denied for the key of another, Conflict for one that is over or full."""
        _check_own(principal, name.task)
        if own_instance(principal) is None and await self.tasks.is_hidden(principal, name.task):
            raise missing()
        command = _made(
            TellInstance, message_id=message_id(name.task, seed.text), text=struck.text(text), read=read, named=seed.kept,
            **self._wish(principal, name.task),
        )  # fmt: skip
        return ToldAnswer.model_validate(await self._sent(command, name.task))

    async def asked_of(self, principal: Principal, message: str) -> TaskId:
        """The instance that a message is of, by the id of the message. Raises NotFound."""
        own, alias = own_instance(principal), alias_of_message(message)
        if own is not None:
            return own if alias == message_alias(own) else _nothing_said()
        try:
            return TaskId((await self.tasks.task(principal, TaskId(alias))).task_id)
        except NotFound:
            return _nothing_said()

    async def ask(self, principal: Principal, task: TaskId, message: str, *, again: bool) -> PendingAnswer:
        """Raises NotFound for what this agent never said, Conflict for what asks already. `again` as in `pending`."""
        command = AskInput(message_id=message, again=again, **self._wish(principal, task))
        answer = PendingAnswer.model_validate(await self._sent(command, task))
        await self._lives(principal, task)
        return answer

    async def move(self, principal: Principal, name: InstanceName, status: InstanceStatus) -> InstanceAnswer:
        """Saying the same again changes nothing. Raises Conflict for another word after the end."""
        _check_own(principal, name.task)
        command = MoveInstance(status=status, **self._wish(principal, name.task))
        answer = InstanceAnswer.model_validate(await self._sent(command, name.task))
        await self._lives(principal, name.task)
        return answer

    async def beat(self, principal: Principal, name: InstanceName) -> datetime:
        """A sign of life, and when. Raises NotFound."""
        now, whose = self.now(), _whose(principal, name.task)
        quiet = self._quiet(whose, moment := now.timestamp())
        if quiet >= LOOKED_S:
            with by_name(principal, name.task):
                await self._sent(ReadInstance(**self._wish(principal, name.task)), name.task)
        if quiet >= BEAT_S or not self._sends_heartbeats(whose):
            self._alive.put(whose, True, moment)
            await self.beats.put(principal.tenant, name.task, now, heartbeat=True)
        return now

    async def view(self, principal: Principal, name: InstanceName, messages: int, before: str | None = None) -> InstanceView:
        """With at most so many messages, the newest, or those before one. Raises NotFound."""
        await self.check_seen(principal, name.task)
        command = GetInstance(tenant=principal.tenant, at=self.now(), task_id=name.task, messages=messages, before=before)
        return InstanceView.model_validate(await self._sent(command, name.task))

    async def over_before(self, tenant: TenantId, task: TaskId, moment: datetime) -> bool:
        """Whether it had ended itself by then. Raises NotFound."""
        command = GetInstance(tenant=tenant, at=self.now(), task_id=task, messages=0)
        view = InstanceView.model_validate(await self._sent(command, task))
        return view.ended_at is not None and view.ended_at < moment

    async def last_beat(self, principal: Principal, task: TaskId) -> datetime | None:
        return await self.beats.last(principal.tenant, task)

    async def check_seen(self, principal: Principal, task: TaskId) -> None:
        """Raises NotFound for what is not there for the caller."""
        own = own_instance(principal)
        if own != task if own is not None else await self.tasks.is_hidden(principal, task):
            raise missing()

    async def _sent(self, command: Command, task: TaskId) -> dict[str, JsonValue]:
        return (await self.tasks.commands.send(ROUTER, task, command)).body

    async def _lives(self, principal: Principal, task: TaskId) -> None:
        """Whoever calls, lives; that it must be heard again says only a heartbeat."""
        now, whose = self.now(), _whose(principal, task)
        if self._quiet(whose, moment := now.timestamp()) >= BEAT_S:
            beats = self._sends_heartbeats(whose)
            self._alive.put(whose, beats, moment)
            await self.beats.put(principal.tenant, task, now, heartbeat=beats)

    def _sends_heartbeats(self, whose: bytes) -> bool:
        known = self._alive.get(whose)
        return known is not None and known[0]

    def _quiet(self, whose: bytes, moment: float) -> float:
        """Seconds since the last sign that was passed on."""
        known = self._alive.get(whose)
        return math.inf if known is None else moment - known[1]

    def _wish(self, principal: Principal, task: TaskId) -> dict[str, Any]:
        return {"tenant": principal.tenant, "at": self.now(), "task_id": task, "by": principal.subject}


@contextmanager
def by_name(principal: Principal, task: TaskId) -> Iterator[None]:
    """Around what is asked of an instance that the path names: one that is not there, or not for this key, is not found."""
    own = own_instance(principal)
    if own is not None and own != task:
        raise missing()
    try:
        yield
    except Invalid as error:
        if error.code == UNKNOWN:
            raise missing() from None
        raise


def missing() -> NotFound:
    return NotFound("there is no such instance", code="INSTANCE_NOT_FOUND")


def _nothing_said() -> NoReturn:
    raise NotFound("there is no such message of this agent", code="INSTANCE_MESSAGE_NOT_FOUND")


def invalid_id() -> Invalid:
    return Invalid("Invalid agent_instance_id: a new instance takes a UUID", code="INVALID_INSTANCE_ID")


def _check_own(principal: Principal, task: TaskId) -> None:
    if own_instance(principal) not in (None, task):
        raise Denied("this key opens one instance, and not that one", code="INSTANCE_NOT_YOURS")


def _made(kind: type[C], **said: Any) -> C:
    """Raises TooLarge: what stands for a secret that was struck out may be longer than the secret."""
    try:
        return kind(**said)
    except ValidationError:
        raise TooLarge("what was sent is too long once secrets are struck out of it", code="PAYLOAD_TOO_LARGE") from None


def _whose(principal: Principal, task: TaskId) -> bytes:
    """That one caller's sign counts says nothing of another's right to give one."""
    return f"{principal.tenant}/{task}/{principal.subject}".encode()
