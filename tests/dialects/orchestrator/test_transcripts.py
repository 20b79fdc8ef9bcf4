"""The orchestrator document, played against the gateway request by request."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.dialects.orchestrator.asking import AGENT, USER, working
from tests.dialects.transcript import Story, Transcript, read
from tests.dialects.world import World, served
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role

TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.http"))


def coming(world: World, who: Principal) -> Story:
    async def comes() -> None:
        world.principal = who

    return comes


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_conversation_goes_as_written(path: Path) -> None:
    world = working()
    people = {
        "dev-agent-1": AGENT,
        "agent-user": Principal(HOME, "agent-user", Role.AGENT),
        "dashboard": USER,
        "nobody": ANONYMOUS,
    }
    told = {f"{name} comes": coming(world, who) for name, who in people.items()}
    async with served(world) as gateway, ClientSession(gateway.url) as session:
        await Transcript(read(path), told).play(session)
    assert TRANSCRIPTS
