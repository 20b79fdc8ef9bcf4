"""Waiting for nats-py without losing a cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def heeding(answer: Awaitable[T]) -> T:
    """The answer, unless this task was cancelled while it waited.

    nats-py waits by `asyncio.wait_for`, which up to Python 3.11 forgets a cancel that comes at the same moment as the answer: whoever
    cancelled would then wait for ever for a task that goes on.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    found = await answer
    if task and task.cancelling() > before:
        raise asyncio.CancelledError
    return found
