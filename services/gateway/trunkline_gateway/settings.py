"""Every knob of the gateway, with the reason for its default."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

from pydantic import Field, field_validator

from trunkline.bus.settings import BusSettings


class Settings(BusSettings):
    """Frozen, unknown names refused, as the bus settings are. Sizes are bytes, times are seconds."""

    host: str = Field("127.0.0.1", description="Loopback: nobody else reaches a fresh installation until somebody says so.")
    port: int = Field(8787, ge=0, le=65535, description="Free on most machines; 0 takes any free port.")
    public_url: str = Field("http://127.0.0.1:8787", description="What people type: said at `/` so that a client finds its base.")
    allowed_hosts: tuple[str, ...] = Field(
        (),
        description="Empty: on loopback only loopback names and that of `public_url` are taken, so that no page gets in by a name of its "
        "own; on other addresses (containers, proxies) any name is, for nobody can know them.",
    )
    deadline_s: float = Field(3600.0, gt=0, le=7 * 86400, description="An hour: hardly any agent that works on one thing needs longer.")
    heartbeat_s: float = Field(15.0, gt=0, description="Proxies give up on silence after 30 to 60 s; half of the shortest is safe.")
    body_limit: int = Field(256 << 10, ge=1024, description="A task of 128 KiB fits twice; anything larger is an accident or an attack.")
    body_depth: int = Field(32, ge=4, description="No request of any surface nests deeper than six.")
    body_deadline_s: float = Field(10.0, gt=0, description="256 KiB at 200 kbit/s; a slower body holds a connection for nothing.")
    stream_limit: int = Field(10_000, ge=1, description="Some 10 KiB each: 100 MiB, and half of the usual limit of open files.")
    stream_buffer: int = Field(256 << 10, ge=16 << 10, description="What is kept for a reader that lags before the feed waits for it.")
    stream_stall_s: float = Field(30.0, gt=0, description="A reader that takes nothing so long is cut; it resumes by event id.")
    drain_s: float = Field(2.0, gt=0, le=4.0, description="Leaves three of the five seconds a stop may take to everything else.")
    frame_cache: int = Field(8 << 20, ge=0, description="Events as encoded, kept so that a thousand readers cost one encoding.")
    rate_limits: Literal["on", "off"] = Field("off", description="Limits count callers by who they are, and nobody has an identity yet.")

    @field_validator("allowed_hosts")
    @classmethod
    def _names_only(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9._-]+", name) and not _is_address(name.strip("[]")):
                raise ValueError("write host names or addresses alone, without scheme, port or path")
        return names

    @field_validator("rate_limits")
    @classmethod
    def _not_yet(cls, wish: str) -> str:
        if wish == "on":
            raise ValueError("rate limits are not built yet: set it to off, and keep strangers away by a proxy of yours")
        return wish


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
