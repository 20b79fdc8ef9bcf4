"""The pr_agent document, played against the gateway word for word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.dialects.hooks import Hooks, answer_handshakes, send_in_vain
from tests.dialects.pr_agent import stories
from tests.dialects.transcript import Story, Transcript, read
from tests.dialects.world import World, served
from trunkline.auth.principal import HOME, Principal, Role
from trunkline.contracts.message import Fact

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.http"))


def story(world: World, decisions: Sequence[tuple[Fact, ...]]) -> Story:
    async def happens() -> None:
        for facts in decisions:
            await world.say(world.events[-1].task, *facts)

    return happens


def coming(world: World, name: str) -> Story:
    async def comes() -> None:
        world.principal = Principal(HOME, name, Role.USER)

    return comes


def telling(world: World, what: Callable[[Hooks, datetime], object]) -> Story:
    async def happens() -> None:
        what(world.hooks, world.now())

    return happens


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_conversation_goes_as_written(path: Path) -> None:
    world = World()
    told = {
        "the run starts": story(world, stories.STARTED),
        "the run ends well": story(world, [*stories.WORKED, *stories.SUCCEEDED]),
        "the run fails": story(world, stories.FAILED),
        "ann comes": coming(world, "ann"),
        "bob comes": coming(world, "bob"),
        "the handshake is answered": telling(world, answer_handshakes),
        "something is sent in vain": telling(world, send_in_vain),
    }
    async with served(world) as gateway, ClientSession(gateway.url) as session:
        await Transcript(read(path), told).play(session)
    assert TRANSCRIPTS
