"""Every knob of the relay, with the reason for its default."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from trunkline.bus import BusSettings
from trunkline.contracts.ids import Token


class Settings(BusSettings):
    """How the relay keeps its views."""

    data_dir: Path | None = Field(default=None, description="None: views live in memory and are folded anew at every start.")
    relay_instance: Token = Field(
        default="relay-0", description="Names the file of views; replicas that share a data directory need one each."
    )
    relay_fresh_within_s: float = Field(
        default=5.0, gt=0, le=30, description="Shorter than a client waits for an answer (10 s), longer than a reconnect to the bus."
    )
    relay_build_within_s: float = Field(
        default=900.0, gt=0, description="Millions of messages fold in some minutes; a start that takes longer is stuck and tried again."
    )

    def views_file(self) -> Path | None:
        return self.data_dir / "relay" / f"{self.relay_instance}.db" if self.data_dir else None
