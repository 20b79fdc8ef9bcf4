"""Every knob of the approvals service."""

from __future__ import annotations

from trunkline.bus import BusSettings


class Settings(BusSettings):
    """The approvals service needs nothing but the bus."""
