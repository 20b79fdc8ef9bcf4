"""What a service hears: commands by FastStream, facts and timers by pulling, each with its rules of delivery."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

import structlog
from faststream import AckPolicy
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import BaseModel, ValidationError

from trunkline.bus.acks import Acks
from trunkline.bus.again import Again
from trunkline.bus.commands import DEADLINE, Ping
from trunkline.bus.dead import DeadLetters
from trunkline.bus.delivery import seq_of, settle
from trunkline.bus.direct import KnownRecords, Stored
from trunkline.bus.floors import Floors
from trunkline.bus.lateness import SENT, Lateness
from trunkline.bus.pull import AS_USUAL, DRAIN, How, Passed, Pull
from trunkline.bus.streams import EVENTS, TIMERS
from trunkline.bus.watching import Watch
from trunkline.contracts import subjects
from trunkline.contracts.errors import Broken, DomainError, Invalid, Overdue, Refusal, Unavailable
from trunkline.contracts.letters import Redo
from trunkline.contracts.message import Accepted, Command, Fact, Reply
from trunkline.telemetry.traces import belongs_to

log = structlog.get_logger()

WORKERS: Final = 64
"""Commands of one verb that are worked on at once; more wait in the subscription's own bounded queue."""
IN_HAND: Final = 0.3
"""Seconds before the sender's deadline at which a command is given up: what nobody waits for must not be carried out later."""
NOT_IN_TIME: Final = (
    "this could not be done in time, as nats-server stores or answers nothing now; try again in a moment, "
    "and should it last, make sure that the disk of its data directory is not full"
)

TOO_LONG: Final = "the answer takes longer than anybody waits for it; try again in a moment"
UNWELL: Final = 10.0
"""Seconds for which a service that ran out of time calls itself unwell, unless a command is done before."""

_NO_HEADERS: Final[Mapping[str, str]] = {}

C = TypeVar("C", bound=Command)
B = TypeVar("B", bound=BaseModel)


class Inlet:
    """Declare everything, then `start`. Nothing is heard before, nothing new is taken after `stop`."""

    def __init__(self, client: Client, broker: NatsBroker, dead: DeadLetters, known: KnownRecords, watch: Watch) -> None:
        self._watch = watch
        self._client = client
        self._broker = broker
        self._dead = dead
        self._known = known
        self._acks = Acks(client)
        self._carriers = dead.carriers
        self._pulls: list[Pull] = []
        self.floors: Floors | None = None
        self._lateness = Lateness()
        self._again = Again(client)
        self._started = asyncio.Event()
        self._connection: Client | None = None
        self._late_at = -UNWELL
        self._under_way: set[asyncio.Task[None]] = set()

    async def start(self, service: str) -> None:
        """Begin to hear, and to answer pings as `service`."""
        self.command(service, Ping, self._pong)
        self.command(service, Redo, self._again)
        if self.floors:
            await self.floors.load()
        self._started.set()
        await self._broker.start()
        # FastStream's own raises what it takes for final, and that ends nats-py's reconnecting for good.
        self._connection = await self._broker.connect()
        self._connection._error_cb = _quiet
        self._watch.hears = lambda: all(pull.bound for pull in self._pulls)

    async def pull(self) -> None:
        """For ever, once started: read all durable consumers."""
        await self._started.wait()
        self._watch.consumers.extend(self._pulls)
        async with asyncio.TaskGroup() as group:
            if self.floors:
                group.create_task(self.floors.keep())
            for pull in self._pulls:
                group.create_task(pull.run())

    async def stop(self) -> None:
        """Hear nothing more, and give the commands under way some seconds to be answered."""
        self._watch.hears = lambda: False
        with suppress(NatsError):  # it is just being made anew, so that nothing comes over it
            await self._broker.stop()
        if self._connection:
            await self._connection.close()
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=DRAIN)
            for task in late:
                task.cancel()
        await self._acks.flush()

    def reconnected(self) -> None:
        """What was asked of the server before is forgotten."""
        for pull in self._pulls:
            pull.ask_again()

    def command(self, service: str, model: type[C], answer: Callable[[C], Awaitable[Accepted]], *, stores: bool = False) -> None:
        """Answer commands of one kind; one replica of the service gets each. One that `stores` and is late makes the service unwell."""
        verb = str(model.model_fields["type"].default)
        subject = subjects.commands_of(service, verb)
        name = f"{service}.{verb}"
        plain: dict[str, Any] = {"no_reply": True, "ack_policy": AckPolicy.MANUAL}
        hear = self._broker.subscriber(subject, queue=service, title=name, description=model.__doc__, **plain)
        hands = asyncio.Semaphore(WORKERS)

        async def carry_out(message: Msg) -> None:
            with self._watch.command(name, message.subject, message.headers or _NO_HEADERS) as watched:
                reply = watched.answered(await self._answered(model, answer, message, stores))
            with suppress(NatsError):  # whoever asked asks again
                # Not `respond`: it says all headers of the question once more, which the asker would read for nothing.
                await self._client.publish(message.reply, self._fitting(reply))

        def over(task: asyncio.Task[None]) -> None:
            hands.release()
            self._under_way.discard(task)

        async def receive(message: Msg) -> None:
            if not hear.running:
                return
            await hands.acquire()
            task = asyncio.get_running_loop().create_task(carry_out(message))
            self._under_way.add(task)
            task.add_done_callback(over)

        hear(receive)
        # FastStream holds the subscription; its way from there to us (parser, middlewares, scopes) costs more than most commands do.
        hear.consume = receive

    def facts(
        self,
        durable: str,
        part: str,
        answer: Callable[[Stored], Awaitable[None]],
        kinds: Collection[type[Fact]] = (),
        passed: Passed | None = None,
    ) -> None:
        """Act on the facts of one kind of aggregate; each is shown to one replica until it is done. A record with no fact of `kinds`,
        where some are named, is passed over unread, and so is one of which `passed`, which is shown all, says so."""

        async def receive(message: Msg) -> None:
            stored = self._known.stored(seq_of(message), message.subject, message.data)
            if self.floors and self.floors.done(durable, stored.seq):
                await self._acks.passed(message)
                return
            with self._watch.delivery(durable, message) as seen:
                work = partial(self._carriers.guarded, message, lambda: seen.tried(answer(stored)))
                await settle(message, work, self._dead.put, self._acks.put)

        self._hears(EVENTS, durable)
        self._again.facts(EVENTS, durable, answer)
        words = tuple(str(kind.model_fields["type"].default).encode() for kind in kinds)

        def nothing(subject: str, body: bytes) -> bool:
            return bool(passed and passed(subject, body)) or (bool(words) and not any(word in body for word in words))

        self._pulls.append(Pull(self._client, (EVENTS, durable), (receive, self._acks.passed), How(nothing)))

    def stored(self, stream: str, durable: str, answer: Callable[[Stored], Awaitable[None]], how: How) -> None:
        """Act on what lies in a stream; each is shown to one replica until it is done."""

        async def receive(message: Msg) -> None:
            stored = Stored(seq_of(message), message.subject, message.data)
            if self.floors and self.floors.done(durable, stored.seq):
                await self._acks.passed(message)
                return
            with self._watch.delivery(durable, message) as seen:
                work = partial(self._carriers.guarded, message, lambda: seen.tried(answer(stored)))
                await settle(message, work, self._dead.put, self._acks.put)

        self._hears(stream, durable)
        self._again.facts(stream, durable, answer)
        self._pulls.append(Pull(self._client, (stream, durable), (receive, self._acks.passed), how))

    def timer(self, service: str, verb: str, model: type[B], answer: Callable[[B], Awaitable[None]], how: How = AS_USUAL) -> None:
        """Act when a timer of one kind is due."""

        durable = f"due-{service}-{verb}"

        async def read(message: Msg) -> None:
            due = model.model_validate_json(message.data)
            if how.begins:
                belongs_to(str(getattr(due, "tenant", "")), "")
            await answer(due)

        async def receive(message: Msg) -> None:
            with self._watch.delivery(durable, message, begins=how.begins) as seen:
                work = partial(self._carriers.guarded, message, lambda: seen.tried(read(message)))
                await settle(message, work, self._dead.put, self._acks.put)

        self._again.timers(durable, model)
        self._pulls.append(Pull(self._client, (TIMERS, durable), (receive, self._acks.passed), how))

    def _hears(self, stream: str, durable: str) -> None:
        if self.floors and stream == EVENTS:
            self.floors.hear(durable)

    def _fitting(self, reply: Reply) -> bytes:
        """A larger answer than a message may be would never arrive: the sender would ask again, and all be done again."""
        body = reply.written()
        if len(body) <= self._client.max_payload:
            return body
        log.error("command.answer_too_large", bytes=len(body))
        return _refused(Broken("the answer is larger than a message of the bus may be; ask for less", code="ANSWER_TOO_LARGE")).written()

    async def _pong(self, _: Ping) -> Accepted:
        if time.monotonic() - self._late_at < UNWELL or not self._watch.hears():
            raise Unavailable(NOT_IN_TIME, code="NOT_IN_TIME")
        return Accepted(seq=0)

    async def _answered(self, model: type[C], answer: Callable[[C], Awaitable[Accepted]], message: Msg, stores: bool) -> Reply:
        try:
            async with asyncio.timeout(self._left(message)):
                accepted = await answer(model.model_validate_json(message.data))
        except TimeoutError:
            self._late_at = time.monotonic() if stores else self._late_at
            return _refused(Unavailable(NOT_IN_TIME if stores else TOO_LONG, code="NOT_IN_TIME"))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]["msg"]
            return _refused(Invalid(f"not a valid command: {first}", code="BAD_COMMAND"))
        except DomainError as error:
            return _refused(error)
        except Exception:  # a defect of one command is its answer, not the end of the service
            log.exception("command.broke", subject=message.subject)
            return _refused(Broken("Trunkline failed in a way it should not; the log of the service says more", code="BROKEN"))
        self._late_at = -UNWELL if stores else self._late_at
        return Reply(accepted=accepted)

    def _left(self, message: Msg) -> float | None:
        """Seconds until nobody waits any more; None: they wait for as long as it takes. Raises Overdue."""
        headers = message.headers or _NO_HEADERS
        if (told := headers.get(SENT)) is not None:
            left = self._lateness.left(told)
        elif (deadline := headers.get(DEADLINE)) is not None:  # of a sender of the version before
            left = float(deadline) - time.time()
        else:
            return None
        if left <= 0:
            raise Overdue("the sender no longer waits for this command", code="OVERDUE")
        return max(left - IN_HAND, left / 2)


async def _quiet(_: Exception) -> None:
    """The other connection tells what went wrong."""


def _refused(error: DomainError) -> Reply:
    return Reply(refused=Refusal.of(error))
