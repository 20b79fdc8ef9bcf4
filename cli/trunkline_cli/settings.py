"""What the command line itself can be told; services add their own settings to the same flat set of names."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr


class StackSettings(BaseModel):
    """Where the stack lives and how it is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data_dir: Path = Field(
        Path("~/.local/share/trunkline"), description="Below the user's own folder: `trunkline up` needs no rights beyond the user's."
    )
    host: str = Field("127.0.0.1", description="Loopback: nothing is reachable from outside until somebody says so.")
    port: int = Field(8787, ge=0, le=65535, description="Free on most machines; 0 picks a free one.")
    public_url: str = Field("", description="Empty: http://<host>:<port>. What links in answers begin with; set it behind a proxy.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="What somebody should look at; `info` tells every step, as JSON lines on stderr."
    )
    split: bool = Field(False, description="Off: one process is the lightest. On: each service its own process, so one may die alone.")
    nats_url: str = Field("", description="Empty: a nats-server of our own, on loopback, with its store in the data directory.")
    nats_user: str = Field("", description="Only for an outside server; ours has random credentials per data directory.")
    nats_password: SecretStr = Field(SecretStr(""), description="Only for an outside server.")
    nats_monitor: str = Field("", description="Empty: http://<host of nats_url>:8222, where nats-server's monitoring port usually is.")
    accept_unsafe_nats: bool = Field(
        False, description="Off: an outside server that may lose acknowledged writes at a power cut is refused."
    )
    nats_store_limit: ByteSize = Field(
        ByteSize(64 << 30), description="The most that the embedded store may take; never more than 80 % of what the disk has for it."
    )
    start_within_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="A new cluster elects its leaders first. A single service waits so long for the bus, saying why, then whoever "
        "supervises is told by its end. `up` goes on trying.",
    )
    unsafe_local: bool = Field(False, description="Off: an agent never runs without isolation unless somebody asks for it by name.")

    def root(self) -> Path:
        """The data directory, absolute."""
        return self.data_dir.expanduser().absolute()
