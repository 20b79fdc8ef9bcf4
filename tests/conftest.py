"""Takes the files that last longest first, so that no worker begins one when all else is done, and collects without looking for garbage."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

LONGEST = (
    "test_opencode_real",
    "test_nothing_is_lost",
    "test_up",
    "test_cancel",
    "test_hostile_agents",
    "test_drain",
    "test_schemathesis",
    "test_codex_opencode_go_on",
    "test_parking",
    "test_orchestrator_clients",
    "test_authorisation_matrix",
    "test_github_matrix",
    "test_webhooks_killed",
    "test_paused",
    "test_going_on_again",
    "test_typescript_sdk",
    "test_approvals_killed",
    "test_bus_under_stress",
    "test_cli",
    "test_relay_views",
    "test_nats_server",
)
"""Half a minute to some minutes each. A file that is missing here costs time, never a failure."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()  # what was collected stays to the end
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    """Flows come before what needs no services; the order is kept otherwise."""
    if item.path.stem in LONGEST:
        return LONGEST.index(item.path.stem)
    return len(LONGEST) + (item.get_closest_marker("flow") is None)
