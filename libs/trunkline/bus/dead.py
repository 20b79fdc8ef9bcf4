"""The desk of dead letters: what was given up on, why, and what to send again to have it tried once more."""

from __future__ import annotations

import base64
from collections.abc import Callable

from nats.aio.msg import Msg

from trunkline.bus.answers import Answers
from trunkline.bus.carried import Carriers
from trunkline.bus.publish import publish
from trunkline.contracts import subjects
from trunkline.contracts.ids import TenantId
from trunkline.contracts.message import Message


class DeadLetter(Message):
    """A message that no handler could take."""

    consumer: str
    stream: str
    seq: int
    subject: str
    """Publishing `body` here again asks for another try."""
    reason: str
    tries: int
    body: str
    """Base64."""


class DeadLetters:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.carriers = Carriers(answers)
        self.kept: Callable[[str], None] = lambda _: None
        """Told of which consumer whenever a letter is kept."""

    async def put(self, message: Msg, reason: str) -> None:
        """Keep a letter for `message`. Its id is its place, so giving up twice leaves one letter."""
        place = message.metadata
        letter = DeadLetter(
            consumer=place.consumer,
            stream=place.stream,
            seq=place.sequence.stream,
            subject=message.subject,
            reason=reason[:2000],
            tries=place.num_delivered or 1,
            body=base64.b64encode(message.data).decode(),
        )
        tokens, line = message.subject.split("."), subjects.parse_work(message.subject)
        tenant = TenantId(tokens[1]) if tokens[0] == "evt" else TenantId((line and line.tenant) or "-")
        subject = subjects.dead(place.consumer.partition("~")[0], tenant, str(letter.seq))
        await self._keep(letter, subject, f"dead:{place.stream}:{place.consumer}:{letter.seq}")

    async def keep(self, letter: DeadLetter, tenant: TenantId, id: str) -> None:
        """Keep a letter about what no message stands for; the same `id` again keeps one. Raises Unavailable."""
        await self._keep(letter, subjects.dead(letter.consumer, tenant, id), f"dead:{letter.stream}:{letter.consumer}:{tenant}:{id}")

    async def send_again(self, subject: str, body: bytes, id: str) -> int:
        """Ask for another try of a timer or of work; the same `id` again is the same, for ten minutes. Raises Unavailable."""
        return await publish(self._answers, subject, body, id=id)

    async def _keep(self, letter: DeadLetter, subject: str, id: str) -> None:
        await publish(self._answers, subject, letter.model_dump_json().encode(), id=id)
        self.kept(letter.consumer)
