"""Ends the agents that a stopped stack leaves in its sandboxes; they outlive a crash on purpose, but not a goodbye."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Final

SETTINGS: Final = "trunkline_sandbox.settings"
PROVIDER: Final = "trunkline_sandbox.adapters.providers.local"


def end_agents(data_dir: Path) -> None:
    """Kill everything that runs in the local sandboxes of a data directory. Needs no event loop; takes milliseconds."""
    try:
        import_module(PROVIDER).kill_all(import_module(SETTINGS).Settings(data_dir=data_dir).boxes)
    except ModuleNotFoundError:
        pass  # this installation has no local sandboxes
