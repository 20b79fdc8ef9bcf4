"""What the doctor makes of what it finds: pure."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from trunkline_cli.checks import State, agent, cloud, limits, model_door, open_files, vault


def test_a_machine_without_control_groups_is_told_what_that_means() -> None:
    found = limits("rlimits, memory weighed, cores pinned")
    assert found.state is State.WARN and found.state.enough
    assert "memory is weighed instead" in found.found
    assert "Delegate=yes" in found.remedy


def test_control_groups_of_either_version_are_enough() -> None:
    assert {limits(kind).state for kind in ("cgroup v1", "cgroup v2")} == {State.OK}


def test_a_key_that_seals_is_there_or_is_made_or_is_missed_where_nobody_makes_one() -> None:
    assert [vault(key, made, outside=True).state for key, made in ((True, False), (False, True))] == [State.OK] * 2
    assert "makes one" in vault(key=False, made=False, outside=False).found
    missed = vault(key=False, made=False, outside=True)
    assert (missed.state, "NO_VAULT_KEY" in missed.found, "TRUNKLINE_VAULT_KEY" in missed.remedy) == (State.WARN, True, True)


def test_open_files_are_counted_against_the_readers_that_one_gateway_is_to_hold() -> None:
    assert [open_files(hard, 10_000).state for hard in (11_000, 1 << 20, resource.RLIM_INFINITY)] == [State.OK] * 3
    few = open_files(4096, 10_000)
    assert (few.state, few.state.enough) == (State.WARN, True)
    assert "3,096 readers" in few.found
    assert all(word in few.remedy for word in ("11000", "LimitNOFILE", "nofile", "TRUNKLINE_STREAM_LIMIT=3096"))


def test_what_is_missing_or_refused_is_not_enough() -> None:
    assert [state for state in State if not state.enough] == [State.MISSING, State.REFUSED]


@pytest.mark.parametrize(("name", "key"), [("claude", "ANTHROPIC_API_KEY"), ("codex", "OPENAI_API_KEY"), ("opencode", "OPENAI_API_KEY")])
def test_the_program_and_the_key_of_the_chosen_agent_are_looked_for(name: str, key: str) -> None:
    there, keyless, absent = (agent(name, "", Path(path), has) for path, has in (("/bin/true", True), ("/bin/true", False), ("/no", True)))

    assert (there.state, there.found.split()[0]) == (State.OK, name)
    assert (keyless.state, key in keyless.remedy) == (State.WARN, True)
    assert (absent.state, "not found" in absent.found) == (State.WARN, True)


@pytest.mark.parametrize(("name", "version"), [("daytona", "0.226.1"), ("e2b", "2.63.0")])
def test_sandboxes_at_a_cloud_need_a_key_only_where_they_are_wanted(name: str, version: str) -> None:
    assert cloud(name, False, False, "").state is State.OK
    refused = cloud(name, True, False, "https://cloud.example")
    assert refused.state is State.MISSING and f"{name.upper()}_API_KEY" in refused.remedy
    assert version in cloud(name, True, True, "https://cloud.example").found


def test_an_agent_in_a_cloud_that_needs_a_model_needs_a_door_to_it() -> None:
    for fine in (("local", "claude", ""), ("daytona", "command", ""), ("e2b", "claude", "https://door.example")):
        assert model_door(*fine).state is State.OK, fine
    lacking = model_door("daytona", "claude", "")
    assert lacking.state is State.WARN and "claude" in lacking.found and "TRUNKLINE_MODEL_DOOR_URL" in lacking.remedy
