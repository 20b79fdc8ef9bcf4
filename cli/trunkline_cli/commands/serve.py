"""Runs one service in the foreground, against a nats-server that is there already; SIGTERM drains it."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import threading
from typing import Final

import uvloop

from trunkline.runtime.collector import calm
from trunkline.runtime.secrecy import confide, unspoken
from trunkline.telemetry.logs import set_up_logs
from trunkline_cli import nats_outside, sources
from trunkline_cli.console import FAILED, OK, complain, err
from trunkline_cli.lives import REFUSED, InProcess
from trunkline_cli.nursery import READY_FD
from trunkline_cli.services import DOES, NAMES, Service, settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.starting import Patience
from trunkline_cli.supervisor import Switch, first_refusal, hopeless

DRAIN: Final = 4.5
"""Seconds from the first signal until the process ends by force."""


def configure(parser: argparse.ArgumentParser) -> None:
    services = parser.add_subparsers(dest="service", required=True, metavar="SERVICE", title="services")
    for name in NAMES:
        text = f"Runs {name} in the foreground: it {DOES[name]}."
        sources.add_flags(services.add_parser(name, help=DOES[name], description=text, allow_abbrev=False), name)


def run(args: argparse.Namespace) -> int:
    ready_fd = int(os.environ.pop(READY_FD, "-1"))
    said, warnings = sources.read(args)
    stack = said.load(StackSettings).settings
    set_up_logs(args.service, stack.log_level)
    calm()
    if ready_fd < 0:
        for warning in warnings:
            _warn(warning)
    service = Service(args.service, said.over(data_dir=str(stack.root())).load(settings_of(args.service)).settings)
    confide(sources.confidential(said.environ))
    unspoken(service.settings)
    patience = Patience(args.service, stack.start_within_s, _warn)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if ready_fd < 0:  # else `up` has judged the server, and says what is amiss
            asked = stack.model_copy(update={"nats_url": str(getattr(service.settings, "nats_url", ""))})
            _warn(runner.run(patience.until(lambda: nats_outside.judge(asked))))
        return runner.run(_serve(service, patience, ready_fd))


def _warn(line: str) -> None:
    if line:
        err().print(line, style="yellow", markup=False)


async def _serve(service: Service, patience: Patience, ready_fd: int) -> int:
    switch = patience.switch
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, switch)
    try:
        async with asyncio.TaskGroup() as group:
            telling = group.create_task(_tell_ready(service.name, switch, ready_fd))
            await patience.until(lambda: InProcess(service)(switch))
            telling.cancel()
    except BaseExceptionGroup as group:
        error = first_refusal(group)
        complain(error)
        return REFUSED if hopeless(error) else FAILED
    return OK


def _stop(switch: Switch) -> None:
    """The first signal drains, within a time; the second ends at once."""
    if switch.stop.is_set():
        os._exit(130)
    switch.stop.set()
    limit = threading.Timer(DRAIN, os._exit, (FAILED,))
    limit.daemon = True
    limit.start()


async def _tell_ready(name: str, switch: Switch, ready_fd: int) -> None:
    await switch.ready.wait()
    if ready_fd >= 0:
        os.write(ready_fd, b"\n")
        os.close(ready_fd)
    else:
        print(f"{name} is ready (process {os.getpid()}). Ctrl-C stops it.", flush=True)
