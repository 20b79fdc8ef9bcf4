"""Instances as readers see them: folded from the log, of which a reader who comes again costs only what is new."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, NamedTuple

from trunkline.bus import Log
from trunkline.contracts.instance_views import InstanceView, fold_instance
from trunkline_router.ports import DueTask

MOST: Final = 256
MOST_BYTES: Final = 16 << 20
"""Of records, as stored, whose views are remembered; one conversation may be larger than that, and is folded anew each time."""


class Shown(NamedTuple):
    """A view, the sequence of the last record in it, and how many bytes its records have."""

    view: InstanceView | None = None
    seq: int = 0
    size: int = 0


class InstanceReading:
    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: OrderedDict[str, Shown] = OrderedDict()
        self._held = 0

    async def now(self, due: DueTask) -> Shown:
        """As it is at this moment. Raises Unavailable."""
        shown = self._known.get(due.instance, Shown())
        loaded = await self._log.load(due.instance, shown.seq)
        view, size = shown.view, shown.size
        for stored in loaded.records:
            record, size = stored.record, size + len(stored.body)
            for fact in record.facts:
                view = fold_instance(view, fact, record.at, (due.tenant, due.task))
        shown = Shown(view, loaded.seq, size)
        self._remember(due.instance, shown)
        return shown

    def _remember(self, subject: str, shown: Shown) -> None:
        self._held += shown.size - self._known.get(subject, Shown()).size
        self._known[subject] = shown
        self._known.move_to_end(subject)
        while len(self._known) > MOST or (self._held > MOST_BYTES and self._known):
            self._held -= self._known.popitem(last=False)[1].size
