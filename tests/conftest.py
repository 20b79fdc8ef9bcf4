"""Takes the files that last longest first, so that no worker begins one when all else is done, and spends no processor on looks."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
import structlog

from trunkline.testing.nats import STORES

os.environ.setdefault(STORES, "/dev/shm")

# Where nobody set up logs, a failure would be drawn with every local of every frame: seconds of a processor for each.
structlog.configure(
    processors=[structlog.stdlib.add_log_level, structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)],
    wrapper_class=structlog.make_filtering_bound_logger("info"),
)

LONGEST = (
    "test_opencode_real",
    "test_typescript_sdk",
    "test_nothing_is_lost",
    "test_drain",
    "test_paused",
    "test_parking",
    "test_hostile_agents",
    "test_up",
    "test_tool_calls",
    "test_spoken_to",
    "test_sandbox_provider",
    "test_codex_opencode_go_on",
    "test_approvals_killed",
    "test_going_on_again",
    "test_standing_still",
    "test_clouds",
    "test_authorisation_matrix",
    "test_bus_under_stress",
    "test_continue_and_fork",
    "test_cancel",
    "test_steering",
    "test_bus",
    "test_forge_away_long",
    "test_schemathesis",
    "test_commands",
    "test_github_matrix",
    "test_conversation",
    "test_ordinary_user",
    "test_hostile_agent",
    "test_limits",
    "test_relay_views",
    "test_runs_that_ask",
    "test_bench",
    "test_realtime_npm",
    "test_identity",
    "test_webhooks",
    "test_callers_token",
    "test_idempotency",
    "test_waiting_runs",
    "test_lanes",
    "test_webhooks_killed",
    "test_nats_server",
    "test_knowledge",
    "test_sdk",
    "test_in_a_cloud",
    "test_put_aside",
    "test_traces",
    "test_attending",
    "test_github_forge",
    "test_orchestrator_clients",
    "test_steering_inbox",
)
"""A quarter of a minute to a minute or two each. A file that is missing here costs time, never a failure."""


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
