"""Questions to nats-server whose answers are waited for later: one inbox for the whole process, and no task for any of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, ConnectionDrainingError, ConnectionReconnectingError, OutboundBufferLimitError

from trunkline.bus.publish import BusAway

OPEN_QUESTIONS: Final = 10_000
"""Unanswered ones that are kept; beyond that the oldest counts as never answered."""
_CANNOT_ASK = (ConnectionClosedError, ConnectionDrainingError, ConnectionReconnectingError, OutboundBufferLimitError)

Question = asyncio.Future[Msg | None]
"""Its result is the answer, or None when it was given up."""


class Answers:
    """What was asked and is not answered yet."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._inbox = ""
        self._open: OrderedDict[str, Question] = OrderedDict()
        self._count = 0

    async def start(self) -> None:
        """Made once, before the first question."""
        if not self._inbox:
            self._inbox = self._client.new_inbox()
            await self._client.subscribe(f"{self._inbox}.*", cb=self._on)
            await self._client.flush(timeout=5)

    async def ask(self, subject: str, body: bytes = b"") -> Question:
        """The question is on its way; nobody has to wait for the answer. Raises BusAway."""
        self._count += 1
        token = str(self._count)
        question: Question = asyncio.get_running_loop().create_future()
        self._open[token] = question
        if len(self._open) > OPEN_QUESTIONS:
            _settle(self._open.popitem(last=False)[1], None)
        try:
            await self._client.publish(subject, body, reply=f"{self._inbox}.{token}")
        except _CANNOT_ASK as error:
            self._open.pop(token, None)
            raise BusAway(f"the bus cannot be asked now ({type(error).__name__})", code="BUS_AWAY") from error
        return question

    async def _on(self, message: Msg) -> None:
        question = self._open.pop(message.subject.rpartition(".")[2], None)
        if question is not None:
            _settle(question, message)


def status_of(message: Msg) -> str:
    """What nats-server says of a question in a header, "" when it says nothing; "503" is nobody there to answer."""
    return (message.headers or {}).get("Status", "")


def _settle(question: Question, answer: Msg | None) -> None:
    if not question.done():
        question.set_result(answer)
