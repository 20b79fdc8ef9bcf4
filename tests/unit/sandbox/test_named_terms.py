"""What a sandbox may be here: an installation's own choice, its caps, and what its provider cannot."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from pydantic import ValidationError

from trunkline.contracts.errors import Invalid, Unsupported
from trunkline.contracts.sandbox import SandboxTerms
from trunkline_sandbox.handlers.named_host import NamedHost
from trunkline_sandbox.handlers.named_minutes import by_day
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.ports import Ability


@dataclass(frozen=True)
class Somewhere:
    ability: Ability
    name: str = "cloud"


def settled(terms: SandboxTerms, sizes: bool) -> SandboxTerms:
    return Caps().settled(terms, cast(NamedHost, Somewhere(Ability(egress_policy=True, unix_sockets=False, sizes=sizes))))


@pytest.mark.parametrize("wish", [{"cpus": 1}, {"memory_mb": 64}, {"disk_mb": 64}])
def test_a_size_is_refused_where_the_provider_holds_to_none(wish: dict[str, Any]) -> None:
    with pytest.raises(Unsupported) as refusal:
        settled(SandboxTerms(**wish), sizes=False)
    assert refusal.value.code == "PROVIDER_CANNOT_SIZE"
    assert settled(SandboxTerms(), sizes=False).memory_mb == 0  # nothing is said of what nobody holds to
    assert settled(SandboxTerms(), sizes=True).memory_mb == Caps().memory_mb


def test_a_port_is_refused_where_the_provider_allows_whole_hosts() -> None:
    somewhere = cast(NamedHost, Somewhere(Ability(egress_policy=True, unix_sockets=False)))
    with pytest.raises(Unsupported) as refusal:
        Caps(egress=("y.example:443",)).settled(SandboxTerms(egress=("y.example:443",)), somewhere)
    assert refusal.value.code == "PROVIDER_CANNOT_EGRESS_PORT"


def test_more_than_the_installation_gives_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        settled(SandboxTerms(memory_mb=4096), sizes=True)
    assert refusal.value.code == "SANDBOX_TOO_LARGE"


@pytest.mark.parametrize(
    "wish", [{"idle_s": 1e99}, {"ttl_s": float("inf")}, {"cpus": 1e9}, {"memory_mb": 1 << 62}, {"disk_mb": -1}, {"idle_s": float("nan")}]
)
def test_no_number_is_beyond_a_calendar_or_a_machine(wish: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SandboxTerms(**wish)


@pytest.mark.parametrize(
    ("until", "seconds", "days"),
    [
        (datetime(2026, 11, 22, 0, 2, tzinfo=UTC), 720.0, [("20261122", 120.0), ("20261121", 600.0)]),
        (datetime(2026, 11, 22, tzinfo=UTC), 60.0, [("20261121", 60.0)]),
        (datetime(2026, 1, 2, 1, tzinfo=UTC), 2 * 86400.0, [("20260102", 3600.0), ("20260101", 86400.0), ("20251231", 82800.0)]),
        (datetime(2026, 11, 22, 12, tzinfo=UTC), 0.0, []),
    ],
)
def test_use_counts_on_the_day_on_which_it_was(until: datetime, seconds: float, days: list[tuple[str, float]]) -> None:
    assert by_day(until, seconds) == days
