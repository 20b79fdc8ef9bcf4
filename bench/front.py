"""One gateway process, and behind it no more than what nats-server does for a bare handler: one acknowledged write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from bench import processes
from bench.processes import System
from trunkline.testing.nats import free_port, nats_server

QUIET: Final = ("approvals", "sandbox", "relay")


@contextmanager
def front(within: Path | None = None, gateway: str = "gateway") -> Iterator[System]:
    """`gateway` is one of services.STARTS."""
    port = free_port()
    with nats_server(within) as server, ExitStack() as stack:
        words = (
            ("bench.services", server.url, str(port), gateway),
            ("bench.owner", server.url),
            ("bench.services", server.url, "0", *QUIET),
        )
        children = [stack.enter_context(processes.python(*each)) for each in words]
        processes.await_health(port, children)
        yield System("front", "trunkline", port, server, children)
