"""What one request comes to, learnt while it passes the door: pure but for the times it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from trunkline.contracts.spend import ModelAnswered
from trunkline.telemetry.redaction import Redactor
from trunkline_sandbox.adapters.model.prices import Prices
from trunkline_sandbox.adapters.model.shapes import Purpose, Shape
from trunkline_sandbox.adapters.model.usage import BYTES_A_TOKEN, BodyReader, EventReader, Fold, Reader, Usage
from trunkline_sandbox.adapters.model.usage_anthropic import on_body, on_event
from trunkline_sandbox.adapters.model.usage_openai import on_chat_body, on_chat_event, on_response_body, on_response_event

_FOLDS: Final[dict[Purpose, tuple[Fold, Fold]]] = {
    Purpose.MESSAGES: (on_event, on_body),
    Purpose.RESPONSES: (on_response_event, on_response_body),
    Purpose.CHAT: (on_chat_event, on_chat_body),
}
_REDACTOR: Final = Redactor()
"""An agent may call its model as it likes, and hang up before anybody objects."""
_LONGEST_NAME: Final = 200
"""Characters of a model's name."""


class Bill:
    """Times in seconds of one clock."""

    def __init__(self, request: str, shape: Shape, purpose: Purpose, began: float) -> None:
        self._request = request
        self._shape = shape
        self._purpose = purpose
        self._began = began
        self._first = 0.0
        self._asked_bytes = 0
        self._model = ""
        self._status = 0
        self._reader: Reader | None = None
        self._on_the_way = False

    def asked(self, size: int, model: str) -> None:
        """A request of so many bytes, and the model it names: what counts where the answer names none."""
        self._asked_bytes = size
        self._model = model[:_LONGEST_NAME]

    def sent(self) -> None:
        """All of the request is out: from here on the model may work for it."""
        self._on_the_way = True

    def unreached(self) -> None:
        """The model API never had it, or broke off before a word."""
        self._on_the_way = False

    def answered(self, status: int, content_type: str) -> None:
        """The head of the answer is here."""
        self._status = status
        if folds := _FOLDS.get(self._purpose):
            self._reader = EventReader(folds[0]) if "event-stream" in content_type else BodyReader(folds[1])

    def passes(self, piece: bytes, now: float) -> None:
        """A piece of the answer went by."""
        self._first = self._first or now
        if self._reader is not None:
            self._reader.feed(piece)

    def fact(self, prices: Prices, now: float) -> ModelAnswered | None:
        """None for what costs nothing: a refusal, or what never reached the model. A hung-up or broken answer is estimated."""
        usage = self._reader.end() if self._reader is not None else Usage()
        if not self._on_the_way or self._status >= 400 or usage.free:
            return None
        settled = self._settled(usage)
        usd, priced = prices.cost(settled, self._model)
        return ModelAnswered(
            attempt=0,
            sitting=0,
            request=self._request,
            shape=self._shape.value,
            model=_REDACTOR.text(usage.model or self._model),
            status=self._status,
            input_tokens=settled.input_tokens,
            cached_tokens=settled.cached_tokens,
            output_tokens=settled.output_tokens,
            usd=round(usd, 9),
            priced=priced,
            estimated=not usage.told,
            first_byte_ms=_ms(self._began, self._first or now),
            took_ms=_ms(self._began, now),
        )

    def _settled(self, usage: Usage) -> Usage:
        """With an estimate in the place of what nobody told; more than was told where more was seen."""
        if usage.told:
            return usage
        asked = usage.input_tokens if usage.begun else _tokens(self._asked_bytes)
        return replace(usage, input_tokens=asked, output_tokens=max(usage.output_tokens, _tokens(usage.text_bytes)))


def _tokens(size: int) -> int:
    """Rounded up."""
    return -(-size // BYTES_A_TOKEN)


def _ms(began: float, at: float) -> int:
    return max(0, round(1000 * (at - began)))
