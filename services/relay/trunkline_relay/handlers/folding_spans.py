"""Folding as spans: for each record whose trace is kept, how long after its storing the views held it, and in how large a batch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from trunkline.contracts import subjects
from trunkline.contracts.record import read_told
from trunkline.telemetry.traces import Tracer
from trunkline.telemetry.w3c import TRACEPARENT
from trunkline_relay.handlers.fold_facts import OUTPUT
from trunkline_relay.ports import Stored

NAME: Final = "relay.fold"
NEWS_S: Final = 60.0
"""Of what was stored longer ago the views are built anew: that is no part of what happened then."""


class FoldingSpans:
    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def tell(self, batch: Sequence[Stored], began_ns: int) -> None:
        """The batch is in the views, and was worked on since then."""
        for stored in batch:
            if stored.trace.endswith("01"):
                with suppress(ValueError, TypeError, AttributeError, KeyError):  # whoever folds says so of what nobody can read
                    self._one(stored, began_ns, len(batch))

    def _one(self, stored: Stored, began_ns: int, size: int) -> None:
        names, (at, _) = subjects.parse_event(stored.subject), read_told(stored.body)
        if names.part == OUTPUT or began_ns / 1e9 - at.timestamp() > NEWS_S:
            return
        if span := self._tracer.heard(NAME, {TRACEPARENT: stored.trace}, names.tenant, names.task):
            span.began_ns = began_ns
            span.note(batch=size, waited_ms=max(round(began_ns / 1e6 - at.timestamp() * 1e3), 0))
            span.end()
