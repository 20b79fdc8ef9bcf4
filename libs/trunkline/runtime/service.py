"""The life of a service process: settings read once, started, ready, drained on a signal, gone within five seconds."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, TypeVar

import structlog
import uvloop
from pydantic import BaseModel

from trunkline.contracts.errors import DomainError
from trunkline.runtime.collector import calm
from trunkline.runtime.secrecy import confide, unspoken
from trunkline.telemetry.logs import set_up_logs

log = structlog.get_logger()

S = TypeVar("S", bound=BaseModel)
Running = Callable[[S], AbstractAsyncContextManager[None]]

DRAIN: Final = 4.5
"""Seconds from the signal until the process ends by force."""
FAILED: Final = 1


def run(name: str, settings: S, running: Running[S]) -> int:
    """Run one service until SIGTERM or SIGINT; returns the exit code."""
    set_up_logs(name)
    confide(())
    unspoken(settings)
    calm()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            runner.run(until_signal(name, running(settings)))
        except DomainError as error:
            sys.stderr.write(f"trunkline {name}: {error.message}\n")
            return FAILED
    return 0


async def until_signal(name: str, service: AbstractAsyncContextManager[None]) -> None:
    """Hold a running service until a signal comes; leaving it may take DRAIN seconds, not more."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with service:
        log.info("service.ready", service=name, pid=os.getpid())
        try:
            await stop.wait()
        finally:  # also when something vital broke: what cannot let go is ended by force
            loop.call_later(DRAIN, os._exit, FAILED)
    log.info("service.stopped", service=name)
