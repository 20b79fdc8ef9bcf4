"""Starts everything on this machine: nats-server and all services, kept alive until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Final

import uvloop

from trunkline.contracts.errors import Conflict
from trunkline.runtime.collector import calm
from trunkline.runtime.secrecy import confide, unspoken
from trunkline.telemetry.logs import set_up_logs
from trunkline_cli import nats_outside, sources, stack, unfinished
from trunkline_cli.agents_left import end_agents
from trunkline_cli.console import FAILED, OK, complain
from trunkline_cli.data_dir import held
from trunkline_cli.health import is_trunkline, until_healthy
from trunkline_cli.lives import InProcess, OwnProcess
from trunkline_cli.nats_config import Credentials
from trunkline_cli.nats_server import NatsServer, prepare
from trunkline_cli.nursing import Nursery
from trunkline_cli.operator import key_files
from trunkline_cli.services import NAMES, Service, settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sockets import base_url, claim, port_of
from trunkline_cli.sources import Sources
from trunkline_cli.supervisor import Unit, first_refusal

HARD_KILL: Final = 4.7
"""Seconds from the first signal until this process ends by force; the kernel then ends its children."""
AWAITED: Final = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    sources.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    said, warnings = sources.read(args)
    confide(sources.confidential(said.environ))
    settings = said.load(StackSettings).settings
    for warning in warnings:
        _warn(warning)
    if settings.unsafe_local:
        _warn("WARNING: --unsafe-local: agents run WITHOUT ISOLATION, with all the rights of this user. Only for code that you trust.")
    set_up_logs("trunkline", settings.log_level)
    calm()
    with held(settings.root()):
        unfinished.refuse(settings.root())
        with _claim(settings) as door:
            port = port_of(door)
            url = base_url(settings.host, port)
            said = said.over(data_dir=str(settings.root()), host=settings.host, port=str(port), public_url=settings.public_url or url)
            said = said.over(**key_files(said, settings.root()))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(_up(said, settings, url, began))


def _claim(settings: StackSettings) -> socket.socket:
    """The port of the door. Raises Conflict when it is taken, and says so when another Trunkline has it."""
    try:
        return claim(settings.host, settings.port)
    except Conflict as taken:
        url = base_url(settings.host, settings.port)
        if not asyncio.run(is_trunkline(url)):
            raise
        raise Conflict(
            f"Port {settings.port} is in use: Trunkline is already running at {url}, on another data directory than {settings.root()}. "
            "Use that one, or stop it, or choose another port for this one by --port (0 picks a free one).",
            code=taken.code,
        ) from None


async def _up(said: Sources, settings: StackSettings, url: str, began: float) -> int:
    stop = asyncio.Event()
    _listen(stop, settings.root())
    try:
        nats = None if settings.nats_url else prepare(settings.root(), settings.nats_store_limit)
        said = _with_nats(said, nats) if nats else said
        if nats is None:
            _warn(await nats_outside.judge(settings))
        units = _stack(said, settings, nats)
        await stack.run(units, stop, _say, lambda: _announce(settings, nats, url, began))
    except BaseExceptionGroup as group:
        return complain(first_refusal(group))
    finally:
        end_agents(settings.root())
    return OK


def _with_nats(said: Sources, server: NatsServer) -> Sources:
    ours = {"nats_user": Credentials.CONTROL_USER, "nats_password": server.credentials.control}
    return said.over(nats_url=server.url, nats_callout_seed="", nats_callout_seed_file=str(server.callout), **ours)


def _stack(said: Sources, settings: StackSettings, nats: NatsServer | None) -> stack.Stack:
    """Every service's settings are read here, so that what is wrong is said before anything starts."""
    each = {name: said.with_figures_at(place) for place, name in enumerate(NAMES)}
    services = [Service(name, each[name].load(settings_of(name)).settings) for name in NAMES]
    unspoken(*(service.settings for service in services))
    ground = [Unit("nats-server", nats)] if nats else []
    if settings.split:
        nursery = Nursery(said.surroundings(), _say)
        ground.append(Unit("nursery", nursery))
        units = [Unit(name, OwnProcess(name, each[name].environment(name), _say, nursery)) for name in NAMES]
    else:
        units = [Unit(service.name, InProcess(service)) for service in services]
    return stack.Stack(ground, units[:-1], units[-1])


async def _announce(settings: StackSettings, nats: NatsServer | None, url: str, began: float) -> None:
    while not await until_healthy(url, AWAITED):
        _warn(f"{url}/health is not 200 yet; waiting on.")
    _say(f"Trunkline is ready at {url} (data in {settings.root()}, {time.monotonic() - began:.1f} s). Ctrl-C stops it.")
    if nats:
        _say(f"Agents connect to {nats.url} with a token or an API key (docs/reference/agents-on-nats.md).")


def _listen(stop: asyncio.Event, root: Path) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _stopping, stop, root)


def _stopping(stop: asyncio.Event, root: Path) -> None:
    """The first signal drains, within a time; the second ends at once."""
    if stop.is_set():
        _die(root, 130)
    stop.set()
    limit = threading.Timer(HARD_KILL, _die, (root, FAILED))
    limit.daemon = True
    limit.start()


def _die(root: Path, code: int) -> None:
    """End without another word; the kernel ends the children, and the agents are ours to end."""
    try:
        end_agents(root)
    finally:
        os._exit(code)


def _say(line: str) -> None:
    print(line, flush=True)


def _warn(line: str) -> None:
    if line:
        print(line, file=sys.stderr, flush=True)
