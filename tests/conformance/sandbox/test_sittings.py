"""One sandbox, one program after the other: what the first left in its home and its workspace, the next one finds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.conformance.sandbox.agents import Box, shell
from trunkline.contracts.errors import Conflict
from trunkline_sandbox.adapters.providers.local.places import place
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Exit

_FIRST = "echo home > ~/.mine; mkdir sub; echo work > sub/mine; echo first; sleep 60"


async def test_the_next_one_finds_home_and_workspace_as_the_last_left_them(box: Box) -> None:
    await box.start(replace(shell(_FIRST), home_files={".conf": b"one\n"}, files={"/run/trunkline/task": b"one\n"}))
    assert await box.first_line() == b"first"
    await box.provider.stop(box.id)
    ask = shell('cat ~/.mine sub/mine ~/.conf "$TASK"', "k.2")
    next_one = replace(ask, env={"TASK": "/run/trunkline/task"}, home_files={".conf": b"two\n"}, files={"/run/trunkline/task": b"two\n"})
    await box.provider.start(box.id, next_one)
    assert (await box.hear("k.2")).out == [b"home", b"work", b"two", b"two"]
    assert (await box.hear("k")).exit == Exit(None, 9, "killed")


async def test_each_has_a_conversation_of_its_own(box: Box) -> None:
    for key in ("k", "k.2"):
        await box.start(replace(shell("cat", key), keep_stdin=True))
        await box.provider.tell(box.id, key, Entry("a", f"to {key}\n".encode(), close=True))
        assert (await box.hear(key)).out == [f"to {key}".encode()]
    assert await box.provider.told(box.id, "k") == await box.provider.told(box.id, "k.2") == {"a"}


async def test_the_start_of_one_that_was_stopped_is_not_made_again(box: Box) -> None:
    await box.start(shell("echo runs >> runs; echo up; sleep 60"))
    assert await box.first_line() == b"up"
    await box.provider.stop(box.id)
    await box.provider.start(box.id, shell("echo again >> runs"))
    await box.provider.start(box.id, shell("cat runs", "k.2"))
    assert (await box.hear("k.2")).out == [b"runs"] and (await box.hear()).exit.cause == "killed"


async def test_a_late_start_of_a_stopped_key_is_refused_and_another_key_is_not(near: Box) -> None:
    await near.ensure()
    late = place(near.root, near.id).run("late")
    late.dir.mkdir()
    late.stopping.write_text("killed")  # as a stop leaves it that met the start half-way
    await near.provider.stop(near.id)
    with pytest.raises(Conflict) as refusal:
        await near.provider.start(near.id, shell("echo late", "late"))
    assert refusal.value.code == "START_STOPPED"
    assert (await near.run(shell("echo next", "late.2"))).out == [b"next"]


async def test_who_stops_a_start_that_is_over_ends_no_later_one(box: Box) -> None:
    """As a replica does that stood still while another one took over and began the next sitting."""
    await box.run(shell("echo over"))
    await box.start(shell("echo up; sleep 60", "k.2"))
    assert await box.first_line("k.2") == b"up"
    await box.provider.stop(box.id, "k")
    await box.provider.stop(box.id, "k.2")
    assert (await box.hear("k.2")).exit == Exit(None, 9, "killed")
