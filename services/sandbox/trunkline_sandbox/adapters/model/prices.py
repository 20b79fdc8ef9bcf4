"""What models cost: the list prices of the well-known ones, and what the settings say instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from trunkline_sandbox.adapters.model.usage import Usage
from trunkline_sandbox.settings import PriceSetting

AS_OF: Final = "2026-11-21"
_MILLION: Final = 1_000_000
_WRITTEN: Final = 1.25
_WRITTEN_LONG: Final = 2.0
"""Input that is put into the provider's cache for five minutes, and for an hour, as a multiple of other input: so at both providers."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens."""

    input: float
    output: float
    cached: float | None = None
    """Input read from the provider's cache; None: as other input."""
    above: int = 0
    """A request with more input than this costs `dearer` times as much for input and for output; 0: none does."""
    dearer: tuple[float, float] = (1.0, 1.0)

    def usd(self, usage: Usage) -> float:
        """What one answer costs."""
        cached = self.input if self.cached is None else self.cached
        plain = max(0, usage.input_tokens - usage.cached_tokens - usage.written_tokens - usage.written_long_tokens)
        written = usage.written_tokens * _WRITTEN + usage.written_long_tokens * _WRITTEN_LONG
        of_input, of_output = self.dearer if self.above and usage.input_tokens > self.above else (1.0, 1.0)
        asked = (plain + written) * self.input + usage.cached_tokens * cached
        return (asked * of_input + usage.output_tokens * self.output * of_output) / _MILLION


_LONG_GPT: Final = (272_000, (2.0, 1.5))

KNOWN: Final[Mapping[str, Price]] = {
    "claude-fable-5-2": Price(8, 40, 0.2),
    "claude-fable-5-1": Price(10, 50, 0.25),
    "claude-fable-5": Price(10, 50, 1),
    "claude-mythos-5-2": Price(8, 40, 0.2),
    "claude-opus-5-5": Price(4, 20, 0.2),
    "claude-opus-5": Price(5, 25, 0.5),
    "claude-opus-4-8": Price(5, 25, 0.5),
    "claude-opus-4-7": Price(5, 25, 0.5),
    "claude-opus-4-6": Price(5, 25, 0.5),
    "claude-opus-4-5": Price(5, 25, 0.5),
    "claude-opus-4-1": Price(15, 75, 1.5),
    "claude-opus-4": Price(15, 75, 1.5),
    "claude-3-opus": Price(15, 75, 1.5),
    "claude-sonnet-5-5": Price(2, 10, 0.1),
    "claude-sonnet-5": Price(2, 10, 0.2),
    "claude-sonnet-4-6": Price(3, 15, 0.3),
    "claude-sonnet-4-5": Price(3, 15, 0.3, 200_000, (2.0, 1.5)),
    "claude-sonnet-4": Price(3, 15, 0.3, 200_000, (2.0, 1.5)),
    "claude-3-7-sonnet": Price(3, 15, 0.3),
    "claude-3-5-sonnet": Price(3, 15, 0.3),
    "claude-haiku-5-5": Price(0.1, 0.5, 0.01, 100_000, (5.0, 5.0)),
    "claude-haiku-4-5": Price(1, 5, 0.1),
    "claude-3-5-haiku": Price(0.8, 4, 0.08),
    "claude-3-haiku": Price(0.25, 1.25, 0.03),
    "gpt-6.1-sol": Price(2, 10, 0.1, *_LONG_GPT),
    "gpt-6.1-terra": Price(1, 5, 0.05, *_LONG_GPT),
    "gpt-6-astra": Price(10, 50, 1, *_LONG_GPT),
    "gpt-6-sol": Price(2, 10, 0.2, *_LONG_GPT),
    "gpt-6-luna": Price(0.1, 0.5, 0.01, *_LONG_GPT),
    "gpt-5.6-sol": Price(4, 20, 0.4, *_LONG_GPT),
    "gpt-5.6-terra": Price(2, 12, 0.2, *_LONG_GPT),
    "gpt-5.6-luna": Price(0.2, 1.2, 0.02, *_LONG_GPT),
    "gpt-5.5-pro": Price(30, 180, None, *_LONG_GPT),
    "gpt-5.5": Price(5, 30, 0.5, *_LONG_GPT),
    "gpt-5.4-pro": Price(30, 180, None, *_LONG_GPT),
    "gpt-5.4": Price(2.5, 15, 0.25, *_LONG_GPT),
    "gpt-5.4-mini": Price(0.75, 4.5, 0.075),
    "gpt-5.4-nano": Price(0.2, 1.25, 0.02),
    "gpt-5.3": Price(1.75, 14, 0.175),
    "gpt-5.3-codex": Price(1.75, 14, 0.175),
    "gpt-5.2-pro": Price(21, 168),
    "gpt-5.2": Price(1.75, 14, 0.175),
    "gpt-5.2-codex": Price(1.75, 14, 0.175),
    "gpt-5.1": Price(1.25, 10, 0.125),
    "gpt-5.1-codex": Price(1.25, 10, 0.125),
    "gpt-5.1-codex-max": Price(1.25, 10, 0.125),
    "gpt-5.1-codex-mini": Price(0.25, 2, 0.025),
    "gpt-5-pro": Price(15, 120),
    "gpt-5": Price(1.25, 10, 0.125),
    "gpt-5-codex": Price(1.25, 10, 0.125),
    "gpt-5-mini": Price(0.25, 2, 0.025),
    "gpt-5-nano": Price(0.05, 0.4, 0.005),
    "codex-mini": Price(1.5, 6, 0.375),
    "gpt-4.1": Price(2, 8, 0.5),
    "gpt-4.1-mini": Price(0.4, 1.6, 0.1),
    "gpt-4.1-nano": Price(0.1, 0.4, 0.025),
    "gpt-4o": Price(2.5, 10, 1.25),
    "gpt-4o-mini": Price(0.15, 0.6, 0.075),
    "o4-mini": Price(1.1, 4.4, 0.275),
    "o3-pro": Price(20, 80),
    "o3": Price(2, 8, 0.5),
    "o3-mini": Price(1.1, 4.4, 0.55),
    "o1": Price(15, 60, 7.5),
}
"""List prices of the standard tier on the day AS_OF, by name without date."""

_DATE: Final = re.compile(r"(?:[-@]20\d{6}|-20\d\d-\d\d-\d\d)?(?:-v\d+(?::\d+)?)?\Z")
_PLACE: Final = re.compile(r"\A(?:[a-z0-9.-]+/)*(?:(?:[a-z]{2,6}\.)?anthropic\.)?")


class Prices:
    """The price of a model by its name: what the settings say, else what is known."""

    def __init__(self, settings: Mapping[str, PriceSetting] | None = None) -> None:
        own = {name.lower(): Price(each.input, each.output, each.cached) for name, each in (settings or {}).items()}
        # The more a name says, the sooner it counts: without `*` first, then the longest.
        self._own = sorted(own.items(), key=lambda pair: ("*" in pair[0], -len(pair[0])))

    def cost(self, usage: Usage, asked: str = "") -> tuple[float, bool]:
        """US dollars, and whether the price is the model's own; else it is the dearest of its kind. `asked` is the model asked for."""
        for name in (usage.model.lower(), asked.lower()):
            if name and (price := self._price(name)):
                return price.usd(usage), True
        return max(price.usd(usage) for price in self._dearest(usage.model or asked)), False

    def _price(self, name: str) -> Price | None:
        for pattern, price in self._own:
            if fnmatchcase(name, pattern):
                return price
        return KNOWN.get(plain(name))

    def _dearest(self, name: str) -> list[Price]:
        """Of Anthropic's models where the name is one of theirs, else of all."""
        theirs = [price for known, price in KNOWN.items() if known.startswith("claude") or "claude" not in name.lower()]
        return [*theirs, *(price for _, price in self._own)]


def plain(name: str) -> str:
    """A model's name without its date and without the place where it is served."""
    bare = _DATE.sub("", _PLACE.sub("", name.lower().removesuffix("[1m]"), count=1), count=1)
    return bare.removesuffix("-latest").removesuffix("-0") if bare.startswith("claude") else bare.removesuffix("-latest")
