"""What models cost: one fact for each answer of a model, added up by whoever asks."""

from __future__ import annotations

from typing import Literal

from trunkline.contracts.message import Fact


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
