"""Takes what nats-py delivers as it is read off the connection, without the queue and the task that nats-py has in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

log = structlog.get_logger()


async def subscribe(client: Client, subject: str, take: Callable[[Msg], None]) -> None:
    """As `client.subscribe` with a callback that waits for nothing, for as long as there is the connection."""
    await client.subscribe(subject, future=cast("asyncio.Future[Msg]", _AtOnce(take)))


class _AtOnce:
    """Stands where nats-py expects the future of one message: it is told all that come."""

    def __init__(self, take: Callable[[Msg], None]) -> None:
        self._take = take

    def cancelled(self) -> bool:
        return False

    def set_result(self, message: Msg) -> None:
        try:
            self._take(message)
        except Exception as error:  # raised here, it would end the reading of the connection
            log.warning("bus.error", error=f"{type(error).__name__}: {error}")
