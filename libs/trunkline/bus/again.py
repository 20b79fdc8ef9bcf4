"""What a service does with a message that was given up on and is to be taken once more: no fact is said twice for it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable

import structlog
from nats.aio.client import Client
from nats.js.errors import NotFoundError
from pydantic import BaseModel, ValidationError

from trunkline.bus.direct import Stored
from trunkline.bus.patience import patiently
from trunkline.contracts.errors import Conflict, DomainError, Invalid, NotFound
from trunkline.contracts.letters import Redo
from trunkline.contracts.message import Accepted

log = structlog.get_logger()

Answer = Callable[[Stored], Awaitable[None]]


class Again:
    """Every durable consumer of one service, by its name."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._facts: dict[str, tuple[str, Answer]] = {}
        self._timers: dict[str, type[BaseModel]] = {}

    def facts(self, stream: str, durable: str, answer: Answer) -> None:
        self._facts[durable] = (stream, answer)

    def timers(self, durable: str, model: type[BaseModel]) -> None:
        self._timers[durable] = model

    async def __call__(self, wish: Redo) -> Accepted:
        """Raises NotFound, Conflict where it fails still, Invalid for a timer that cannot be read, Unavailable."""
        if model := self._timers.get(wish.consumer):
            _check(model, wish.body)
        elif wish.consumer in self._facts:
            await self._taken(wish, *self._facts[wish.consumer])
        else:
            raise NotFound("nobody takes such messages here any more", code="LETTER_GONE")
        return Accepted(seq=wish.seq)

    async def _taken(self, wish: Redo, stream: str, answer: Answer) -> None:
        stored = await self._stored(stream, wish.seq)
        try:
            await answer(stored)
        except DomainError:
            raise
        except Exception as error:
            log.exception("redo.failed", consumer=wish.consumer, seq=wish.seq)
            raise Conflict(f"it fails still: {type(error).__name__}: {error}"[:500], code="LETTER_FAILS_STILL") from None

    async def _stored(self, stream: str, seq: int) -> Stored:
        js = self._client.jetstream(timeout=5)
        try:
            found = await patiently(lambda: js.get_msg(stream, seq))
        except NotFoundError:
            raise NotFound("the stream keeps this message no longer", code="LETTER_GONE") from None
        return Stored(found.seq or seq, found.subject or "", found.data or b"")


def _check(model: type[BaseModel], body: str) -> None:
    try:
        model.model_validate_json(base64.b64decode(body, validate=True))
    except (binascii.Error, ValidationError) as error:
        raise Invalid(f"its body cannot be read: {_said(error)}", code="BAD_LETTER_BODY") from None


def _said(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return "it is no base64"
    first = error.errors(include_url=False, include_input=False)[0]
    return ": ".join(part for part in (".".join(map(str, first["loc"])), first["msg"]) if part)
