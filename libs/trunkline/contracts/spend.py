"""What models cost: one fact for each answer of a model, added up by whoever asks."""

from __future__ import annotations

from typing import Literal

from trunkline.contracts.message import Fact
from trunkline.contracts.run import Usage

MICRO = 1_000_000
"""Millionths of a US dollar in one: sums are kept in whole millionths, which add up exactly and the same wherever they are added."""


class ModelAnswered(Fact):
    """One answer of a model passed the door. Tokens that nobody told are estimated, and marked so."""

    type: Literal["spend.model_answered"] = "spend.model_answered"
    attempt: int
    sitting: int
    request: str
    """Minted by the door."""
    shape: str
    """anthropic or openai."""
    model: str = ""
    status: int
    input_tokens: int = 0
    cached_tokens: int = 0
    """Read from the provider's cache; part of the input."""
    output_tokens: int = 0
    usd: float = 0.0
    priced: bool = True
    """Whether the model's own price is known; else the dearest configured one was taken."""
    estimated: bool = False
    limit_usd: float | None = None
    """What all models of the task may cost, as it stood then, with what people added; None: any amount."""
    first_byte_ms: int = 0
    took_ms: int = 0


def micro(usd: float) -> int:
    return round(usd * MICRO)


def newest_model(answer: ModelAnswered, before: str | None) -> str | None:
    """The last model that answered, by the name that it gave itself; a refusal names none."""
    return answer.model if answer.model and answer.status < 400 else before


def counted(model: str | None, tokens: tuple[int, int], usd: float, *, priced: bool) -> Usage:
    """What all answers came to, `tokens` in and out: unknown where none came, and of unknown cost where a price is not known."""
    if not (model or any(tokens) or usd):
        return Usage()
    return Usage(model=model, input_tokens=tokens[0], output_tokens=tokens[1], cost_usd=usd if priced else None)
