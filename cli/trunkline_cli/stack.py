"""The whole stack as units: started in order, announced when the door is open, stopped door first, within five seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline_cli.supervisor import Say, Unit, keep_alive

DOOR_SHUT: Final = 2.6
SERVICES_GONE: Final = 3.8
GROUND_GONE: Final = 4.4
KILLED: Final = 0.1
"""Seconds since the wish to stop at which what is left of each group is killed, and what a kill itself may take."""


@dataclass(frozen=True, slots=True)
class Stack:
    """What is run: the ground that services stand on (nats-server, the nursery), the services behind the door, and the door."""

    ground: Sequence[Unit]
    services: Sequence[Unit]
    door: Unit

    def units(self) -> list[Unit]:
        return [*self.ground, *self.services, self.door]


Opened = Callable[[], Awaitable[None]]
Tasks = dict[str, asyncio.Task[None]]


async def run(stack: Stack, stop: asyncio.Event, say: Say, opened: Opened) -> None:
    """Run until `stop`; `opened` is awaited once everything is ready. Raises the refusal of a unit that cannot start, as a group."""
    tasks: Tasks = {}
    async with asyncio.TaskGroup() as group:
        try:
            starting = group.create_task(_start(stack, group, tasks, say, opened))
            await stop.wait()
            starting.cancel()
        finally:
            await _wind_down(stack, tasks)


async def _start(stack: Stack, group: asyncio.TaskGroup, tasks: Tasks, say: Say, opened: Opened) -> None:
    for units in (stack.ground, (*stack.services, stack.door)):
        for unit in units:
            tasks[unit.name] = group.create_task(keep_alive(unit, say))
        for unit in units:
            await unit.switch.ready.wait()
    await opened()


async def _wind_down(stack: Stack, tasks: Tasks) -> None:
    began = time.monotonic()
    steps = (([stack.door], DOOR_SHUT), (stack.services, SERVICES_GONE), (stack.ground, GROUND_GONE))
    for units, mark in steps:
        for unit in units:
            unit.switch.stop.set()
        await _gone([tasks[unit.name] for unit in units if unit.name in tasks], began + mark - time.monotonic())


async def _gone(tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=max(seconds, 0))
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=KILLED)
