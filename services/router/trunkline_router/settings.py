"""Every knob of the router."""

from __future__ import annotations

from trunkline.bus import BusSettings


class Settings(BusSettings):
    """The router needs nothing but the bus."""
