"""What the doctor makes of what it finds: pure."""

from __future__ import annotations

from pathlib import Path

import pytest

from trunkline_cli.checks import State, agent, limits


def test_a_machine_without_control_groups_is_told_what_that_means() -> None:
    found = limits("rlimits, memory weighed, cores pinned")
    assert found.state is State.WARN and found.state.enough
    assert "memory is weighed instead" in found.found
    assert "Delegate=yes" in found.remedy


def test_control_groups_of_either_version_are_enough() -> None:
    assert {limits(kind).state for kind in ("cgroup v1", "cgroup v2")} == {State.OK}


def test_what_is_missing_or_refused_is_not_enough() -> None:
    assert [state for state in State if not state.enough] == [State.MISSING, State.REFUSED]


@pytest.mark.parametrize(("name", "key"), [("claude", "ANTHROPIC_API_KEY"), ("codex", "OPENAI_API_KEY"), ("opencode", "OPENAI_API_KEY")])
def test_the_program_and_the_key_of_the_chosen_agent_are_looked_for(name: str, key: str) -> None:
    there, keyless, absent = (agent(name, "", Path(path), has) for path, has in (("/bin/true", True), ("/bin/true", False), ("/no", True)))

    assert (there.state, there.found.split()[0]) == (State.OK, name)
    assert (keyless.state, key in keyless.remedy) == (State.WARN, True)
    assert (absent.state, "not found" in absent.found) == (State.WARN, True)
