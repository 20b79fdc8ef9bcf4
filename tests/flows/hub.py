"""A fake GitHub in a thread of its own, for tests on a running stack that ask and wait without a loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trunkline.testing.fake_github import App, FakeGitHub, fake_github

WITHIN = 20.0


@contextmanager
def hub(root: Path, app: App | None = None) -> Iterator[FakeGitHub]:
    """Its repositories are the bare ones below `root`; nobody enters without a token of it."""
    found: list[FakeGitHub] = []
    ready, loop, over = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with fake_github(root, app) as github:
            found.append(github)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(WITHIN), "the fake GitHub did not come up"
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(WITHIN)
        loop.close()
