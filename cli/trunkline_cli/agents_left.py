"""Ends the agents that a stopped stack leaves in its sandboxes; they outlive a crash on purpose, but not a goodbye."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path

PROVIDER = "trunkline_sandbox.adapters.providers.local"


async def end_agents(root: Path) -> None:
    """Kill everything that runs in the local sandboxes below `root`."""
    try:
        kill_all = getattr(import_module(PROVIDER), "kill_all", None)
    except ModuleNotFoundError:
        return  # this installation has no local sandboxes
    done = kill_all(root) if kill_all else None
    if inspect.isawaitable(done):
        await done
