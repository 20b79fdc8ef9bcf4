"""What becomes of a delivered message: signs of life while it is worked on, then done, again later, or given up on."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from trunkline.bus.streams import HEARTBEAT
from trunkline.contracts.errors import DomainError, Unavailable

log = structlog.get_logger()

TRIES: Final = 8
"""Deliveries of one message that may fail before it is given up on."""
PAUSES: Final = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
"""Seconds before the next try, by the number of tries made."""

OLD_TOKENS: Final = 9
"""Of the subject that acknowledges a message, at a server before 2.3; others name their domain and account too."""


PASSED_S: Final = 0.02, 1.0
"""Seconds until what was passed on is handed out again: the first time, and at most."""


class LeaveAlone(Exception):
    """Somebody else carries this message: neither acknowledge it nor ask for it again."""


class PassOn(Exception):
    """Only another replica can do this: the message goes to whoever asks next, and has not failed."""


class Poison(Exception):
    """It ends whoever carries it: it goes to the dead letters at once, and is not tried again."""


GiveUp = Callable[[Msg, str], Awaitable[None]]
Ack = Callable[[Msg], Awaitable[None]]


def deliveries(message: Msg) -> int:
    return message.metadata.num_delivered or 1


def seq_of(message: Msg) -> int:
    """Its place in the stream, by the subject that acknowledges it: all else that nats-py reads there costs ten times as much."""
    tokens = message.reply.split(".")
    return int(tokens[5 if len(tokens) == OLD_TOKENS else 7])


def tries_of(message: Msg) -> int:
    """How often it was handed out, this time included, as cheaply as `seq_of`."""
    tokens = message.reply.split(".")
    return int(tokens[4 if len(tokens) == OLD_TOKENS else 6])


async def _beat(message: Msg) -> None:
    """Keep telling the server that `message` is being worked on."""
    while True:
        with suppress(NatsError):
            await message.in_progress()
        await asyncio.sleep(HEARTBEAT)


def _begin_to_beat(message: Msg, beating: list[asyncio.Task[None]]) -> None:
    beating.append(asyncio.get_running_loop().create_task(_beat(message)))


async def _alive(message: Msg, work: Callable[[], Awaitable[None]]) -> None:
    """The work, with signs of life from the first second on: most is done long before, and costs no task of its own."""
    beating: list[asyncio.Task[None]] = []
    late = asyncio.get_running_loop().call_later(HEARTBEAT, _begin_to_beat, message, beating)
    try:
        await work()
    finally:
        late.cancel()
        for task in beating:
            task.cancel()


async def settle(message: Msg, work: Callable[[], Awaitable[None]], give_up: GiveUp, ack: Ack = Msg.ack) -> None:
    """Do the work and acknowledge; on failure ask for the message again, later; after the last try give it up."""
    try:
        await _alive(message, work)
    except LeaveAlone:
        log.info("delivery.left_alone", subject=message.subject)
    except Poison as error:
        await _buried(message, str(error), give_up)
    except PassOn:
        first, most = PASSED_S
        with suppress(NatsError):  # it comes again by itself
            await message.nak(delay=min(first * 2 ** min(deliveries(message) - 1, 10), most) * random.uniform(0.5, 1.0))
    except Exception as error:
        await failed(message, error, give_up, deliveries(message))
    else:
        with suppress(NatsError):  # not acknowledged: it comes again, and the handler finds that it is done
            await ack(message)


async def _buried(message: Msg, reason: str, give_up: GiveUp) -> None:
    log.warning("delivery.given_up", subject=message.subject, reason=reason)
    with suppress(NatsError, Unavailable):  # it comes again by itself
        await give_up(message, reason)
        await message.term()


async def failed(message: Msg, error: Exception, give_up: GiveUp, tries: int) -> None:
    """Later again; given up once it failed so often, this time included."""
    reason = f"{type(error).__name__}: {error}"
    # A bus or an owner that is away is not the message's fault: such a try is repeated for as long as it takes.
    away = isinstance(error, Unavailable)
    log.warning("delivery.failed", subject=message.subject, tries=tries, error=reason, exc_info=not isinstance(error, DomainError))
    with suppress(NatsError, Unavailable):  # it comes again by itself
        if tries >= TRIES and not away:
            await give_up(message, reason)
            await message.term()
        else:
            pause = PAUSES[min(tries - 1, len(PAUSES) - 1)]
            await message.nak(delay=pause * random.uniform(0.8, 1.2))
