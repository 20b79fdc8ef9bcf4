"""Asks an outside nats-server whether an acknowledgement means `on disk`, and refuses one where it does not."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from trunkline.bus.settings import BusSettings, servers, shown
from trunkline.contracts.errors import Unavailable, Unsupported
from trunkline_cli.nats_wire import ServerInfo, greet
from trunkline_cli.settings import StackSettings

ACCEPT = "--accept-unsafe-nats"
UNSAFE: Final = "UNSAFE_NATS"
_REMEDY = (
    "Set `jetstream { sync_interval: always }` in its configuration (or run three servers as a cluster); "
    f"{ACCEPT} takes it as it is, and writes may be lost at a power cut."
)


class _Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    sync_always: bool = False
    max_storage: int = 0


class _JetStream(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    config: _Config | None = None


class _Cluster(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    urls: tuple[str, ...] = ()


class Varz(BaseModel):
    """The part of `/varz` that we go by."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    server_id: str
    version: str = ""
    jetstream: _JetStream = _JetStream()
    cluster: _Cluster = _Cluster()
    feature_flags: dict[str, bool] = Field(default_factory=dict)


def monitor_of(nats_url: str) -> str:
    """Where the monitoring port of a server usually is."""
    first = nats_url.split(",")[0]
    return f"http://{urlsplit(first if '//' in first else 'nats://' + first).hostname or '127.0.0.1'}:8222"


def objection(varz: Varz, info: ServerInfo) -> str | None:
    """Why this server must not be used unasked; None when it may. Pure."""
    clustered = bool(varz.cluster.name and varz.cluster.urls)
    if varz.server_id != info.server_id and not clustered:
        return "the monitoring address belongs to another server. Give the right one by --nats-monitor"
    if varz.jetstream.config is None or not info.jetstream:
        return "it runs without JetStream. Start it with a `jetstream { … }` block"
    if not varz.jetstream.config.sync_always and not clustered:
        return "it is a single server that acknowledges writes before they are on disk (sync_interval is not `always`)"
    return None


async def judge(settings: StackSettings) -> str:
    """Whether this outside server may be used; returns what to warn of, if anything. Raises Unavailable, Denied or Unsupported."""
    url, info = await first_answer(settings)
    if settings.accept_unsafe_nats:
        return f"WARNING: {ACCEPT}: nobody checked that nats-server keeps what it acknowledges; a power cut may lose work."
    await check(url, settings.nats_monitor, info)
    return ""


async def first_answer(settings: BusSettings | StackSettings) -> tuple[str, ServerInfo]:
    """The first server of the address that answers, and what it says. Raises Unavailable, Denied."""
    *urls, last = servers(settings.nats_url)
    user, password = settings.nats_user, settings.nats_password.get_secret_value()
    for url in urls:
        try:
            return url, await greet(url, user, password)
        except Unavailable:
            continue
    return last, await greet(last, user, password)


async def check(nats_url: str, monitor: str, info: ServerInfo) -> None:
    """Raises Unsupported (UNSAFE_NATS), with what to do, unless the server is known to keep what it acknowledges."""
    monitor = monitor or monitor_of(nats_url)
    varz = await _varz(monitor)
    if varz is None:
        raise Unsupported(
            f"Whether the nats-server at {shown(nats_url)} keeps what it acknowledges cannot be known: its monitoring port does not "
            f"answer at {monitor}. Start it with `http: 8222`, or say where by --nats-monitor URL. {_REMEDY}",
            code=UNSAFE,
        )
    if why := objection(varz, info):
        raise Unsupported(f"The nats-server at {shown(nats_url)} is refused: {why}. {_REMEDY}", code=UNSAFE)


async def room(nats_url: str, monitor: str) -> int:
    """Bytes that a server on its own may store; 0: it has no limit, is one of several, or does not tell."""
    varz = await _varz(monitor or monitor_of(nats_url))
    if varz is None or varz.cluster.name or varz.jetstream.config is None:
        return 0
    return max(varz.jetstream.config.max_storage, 0)


async def _varz(monitor: str) -> Varz | None:
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as http, http.get(f"{monitor.rstrip('/')}/varz") as answer:
            return Varz.model_validate_json(await answer.read())
    except (aiohttp.ClientError, TimeoutError, ValidationError, ValueError):
        return None
