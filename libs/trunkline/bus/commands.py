"""Sending a command to the owner of an aggregate and waiting for its answer, with a deadline on both sides."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from typing import Final

from trunkline.bus.answers import CANNOT_ASK, Answers, status_of
from trunkline.bus.lateness import SENT, sent
from trunkline.contracts import subjects
from trunkline.contracts.errors import DomainError, Unavailable
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Accepted, Command, Reply
from trunkline.telemetry.traces import carried

DEADLINE: Final = "Trunkline-Deadline"
"""Header: seconds since the epoch after which nobody waits any more, for owners of a version that does not know `lateness.SENT`."""
WAITS: Final = 8.0
"""Seconds: whoever asked a gateway waits ten, and it may have asked something else before."""
NOBODY: Final = TenantId("-")
PING: Final = "ping"
TRY: Final = 1.5
"""Seconds until a command is sent again: the replica that got it may have died with it."""
PAUSE: Final = 0.15


class Ping(Command):
    """Are you there?"""

    type: str = PING


class Commands:
    """The door to every owner."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def send(self, service: str, id: str, command: Command, *, timeout: float = WAITS) -> Accepted:
        """The owner's answer. Raises the owner's refusal, or Unavailable when nobody answers within `timeout` seconds.

        A command is sent again while nobody answers: every command may be repeated without harm.
        """
        subject = subjects.command(service, TenantId(command.tenant), id, _verb(type(command)))
        body = command.written()
        deadline = time.monotonic() + timeout
        headers = carried({DEADLINE: f"{time.time() + timeout:.3f}", SENT: sent(timeout)})
        while (left := deadline - time.monotonic()) > 0:
            try:
                answer = await self._answers.asked(subject, body, headers, min(left, TRY))
            except CANNOT_ASK as error:
                raise Unavailable("the bus is away; try again in a moment", code="BUS_AWAY") from error
            if answer is not None and not status_of(answer):
                return _opened(Reply.model_validate_json(answer.data))
            await asyncio.sleep(min(PAUSE * random.uniform(0.5, 1.5), max(deadline - time.monotonic(), 0)))
        raise Unavailable(f"the {service} service does not answer; try again in a moment", code="NO_OWNER", service=service)

    async def server_answers(self, seconds: float = 1.0) -> bool:
        """Whether nats-server itself says anything: the connection to one that stands still is open for long."""
        with suppress(*CANNOT_ASK):
            return await self._answers.asked("$JS.API.INFO", b"", {}, seconds) is not None
        return False

    async def ping(self, service: str, timeout: float = 1.0) -> bool:
        """Whether at least one replica of a service is ready."""
        with suppress(DomainError):
            await self.send(service, "-", Ping(tenant=NOBODY, at=datetime.fromtimestamp(time.time(), UTC)), timeout=timeout)
            return True
        return False


@cache
def _verb(kind: type[Command]) -> str:
    return str(kind.model_fields["type"].default)


def _opened(reply: Reply) -> Accepted:
    if reply.refused is not None:
        raise reply.refused.error()
    if reply.accepted is None:
        raise Unavailable("the owner's answer cannot be read: are all services of one version?", code="BAD_REPLY")
    return reply.accepted
