"""What the doctor makes of what it finds: pure."""

from __future__ import annotations

from trunkline_cli.checks import State, limits


def test_a_machine_without_control_groups_is_told_what_that_means() -> None:
    found = limits("rlimits, memory weighed, cores pinned")
    assert found.state is State.WARN and found.state.enough
    assert "memory is weighed instead" in found.found
    assert "Delegate=yes" in found.remedy


def test_control_groups_of_either_version_are_enough() -> None:
    assert {limits(kind).state for kind in ("cgroup v1", "cgroup v2")} == {State.OK}


def test_what_is_missing_or_refused_is_not_enough() -> None:
    assert [state for state in State if not state.enough] == [State.MISSING, State.REFUSED]
