"""Asks a gateway whether it is open."""

from __future__ import annotations

import asyncio

import aiohttp

STEP = 0.05


async def is_healthy(url: str) -> bool:
    """Whether `GET /health` is 200 now."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(f"{url}/health") as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def until_healthy(url: str, seconds: float) -> bool:
    """Wait for `GET /health` to be 200; False when it was not within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await _healthy_at_last(url)
    except TimeoutError:
        return False


async def _healthy_at_last(url: str) -> bool:
    while True:
        if await is_healthy(url):
            return True
        await asyncio.sleep(STEP)
