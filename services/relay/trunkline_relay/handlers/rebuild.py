"""The log folded anew in a place of its own, by the same code as ever and in large batches."""

from __future__ import annotations

import gc
from typing import Final, NamedTuple

from trunkline_relay.handlers.fold_facts import OUTPUT, fold_batch
from trunkline_relay.ports import Views

BATCH: Final = 4_000
"""Records whose views are written at once: most tasks then are written once, and not at each of their facts."""
_OUTPUT: Final = f".{OUTPUT}"
BYTES: Final = 32 << 20
"""Of one batch, so that large records do not fill memory."""


class Read(NamedTuple):
    """One record as it was read."""

    seq: int
    subject: str
    body: bytes
    trace: str = ""


class Rebuild:
    """Takes every record in order; `settle` where the views must hold all that was taken."""

    def __init__(self, views: Views, epoch: str) -> None:
        self._views = views
        self._epoch = epoch
        self._batch: list[Read] = []
        self._bytes = 0

    def take(self, seq: int, subject: str, body: bytes) -> None:
        if subject.endswith(_OUTPUT):
            return
        self._batch.append(Read(seq, subject, body))
        self._bytes += len(body)
        if len(self._batch) >= BATCH or self._bytes >= BYTES:
            self.settle()

    def settle(self) -> None:
        """Fold what was taken."""
        if not self._batch:
            return
        enabled = gc.isenabled()
        gc.disable()  # what a batch makes lives to its end, and looking through it again and again is a tenth of the time
        try:
            fold_batch(self._views, self._batch, self._epoch)
        finally:
            if enabled:
                gc.enable()
        self._batch, self._bytes = [], 0
