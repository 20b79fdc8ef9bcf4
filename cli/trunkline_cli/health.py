"""Asks a gateway whether it is open."""

from __future__ import annotations

import asyncio

import aiohttp

from trunkline.contracts.errors import Broken

STEP = 0.05


async def is_healthy(url: str) -> bool:
    """Whether `GET /health` is 200 now."""
    return await is_shown(f"{url}/health")


async def until_shown(url: str, seconds: float = 5.0) -> None:
    """Wait for a page to be 200. Raises Broken when it is not within `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            await _shown_at_last(url)
    except TimeoutError:
        raise Broken(f"{url} cannot be read.") from None


async def is_shown(url: str) -> bool:
    """Whether a GET of `url` is 200 now."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


async def is_trunkline(url: str) -> bool:
    """Whether what answers at `url` says that it is Trunkline."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as http, http.get(url) as answer:
            body = await answer.json()
            return isinstance(body, dict) and body.get("service") == "trunkline"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return False


async def _shown_at_last(url: str) -> None:
    while True:
        if await is_shown(url):
            return
        await asyncio.sleep(STEP)


async def until_healthy(url: str, seconds: float) -> bool:
    """Wait for `GET /health` to be 200; False when it was not within `seconds`."""
    try:
        await until_shown(f"{url}/health", seconds)
    except Broken:
        return False
    return True
