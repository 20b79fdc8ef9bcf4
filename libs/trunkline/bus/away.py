"""The bus did not answer: nobody but the bus is to blame, and nothing is known to be lost."""

from __future__ import annotations

from trunkline.contracts.errors import Unavailable


class BusAway(Unavailable):
    """The bus did not answer; nothing is known to be lost, and nobody but the bus is to blame."""
