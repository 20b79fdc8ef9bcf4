"""Questions and their answers: one inbox for the whole process, and no task, no subscription and no lock for any of them.

nats-py's own `request` and `publish` wait by `asyncio.wait_for`, which costs as much as all the rest of a question, and up to Python 3.11
forgets a cancel that comes at the same moment as the answer.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import ConnectionClosedError, ConnectionDrainingError, ConnectionReconnectingError, OutboundBufferLimitError

from trunkline.bus import at_once
from trunkline.bus.away import BusAway
from trunkline.bus.patience import patiently
from trunkline.bus.writing import publish

OPEN_QUESTIONS: Final = 10_000
"""Unanswered ones that are kept; beyond that the oldest counts as never answered."""
NOBODY: Final = "503"
CANNOT_ASK: Final = (ConnectionClosedError, ConnectionDrainingError, ConnectionReconnectingError, OutboundBufferLimitError)

Question = asyncio.Future[Msg | None]
"""Its result is the answer, or None when it was given up."""


class Answers:
    """What was asked and is not answered yet."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._inbox = ""
        self._open: OrderedDict[str, Question] = OrderedDict()
        self._count = 0

    async def start(self) -> None:
        """Made once, before the first question."""
        if not self._inbox:
            self._inbox = self.client.new_inbox()
            await at_once.subscribe(self.client, f"{self._inbox}.*", self._on)
            await patiently(lambda: self.client.flush(timeout=5))

    async def ask(self, subject: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Question:
        """The question is on its way; nobody has to wait for the answer. Raises BusAway."""
        token = self._token()
        question = self._opened(token)
        try:
            await self.client.publish(subject, body, reply=f"{self._inbox}.{token}", headers=dict(headers) if headers else None)
        except CANNOT_ASK as error:
            self._open.pop(token, None)
            raise BusAway(f"the bus cannot be asked now ({type(error).__name__})", code="BUS_AWAY") from error
        return question

    async def asked(self, subject: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Msg | None:
        """The answer, or None when none came within `seconds`. Raises one of CANNOT_ASK."""
        token = self._token()
        question = self._opened(token)
        timer = asyncio.get_running_loop().call_later(seconds, _settle, question, None)
        try:
            await publish(self.client, subject, body, f"{self._inbox}.{token}", headers)
            return await question
        finally:
            timer.cancel()
            self._open.pop(token, None)

    def reconnected(self) -> None:
        """What was asked over the connection before may never be answered: whoever waits may ask again at once."""
        for question in self._open.values():
            _settle(question, None)
        self._open.clear()

    def _token(self) -> str:
        self._count += 1
        return str(self._count)

    def _opened(self, token: str) -> Question:
        question: Question = asyncio.get_running_loop().create_future()
        self._open[token] = question
        if len(self._open) > OPEN_QUESTIONS:
            _settle(self._open.popitem(last=False)[1], None)
        return question

    def _on(self, message: Msg) -> None:
        question = self._open.pop(message.subject.rpartition(".")[2], None)
        if question is not None:
            _settle(question, message)


def status_of(message: Msg) -> str:
    """What nats-server says of a question in a header, "" when it says nothing; NOBODY is nobody there to answer."""
    return (message.headers or {}).get("Status", "")


def _settle(question: Question, answer: Msg | None) -> None:
    if not question.done():
        question.set_result(answer)
