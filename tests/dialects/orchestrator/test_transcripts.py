"""The orchestrator document, played against the gateway request by request."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import ClientSession

from tests.dialects import owners
from tests.dialects.dead_letters import some_given_up
from tests.dialects.hooks import answer_handshakes, send_in_vain
from tests.dialects.orchestrator.asking import ADMIN, AGENT, USER, working
from tests.dialects.transcript import Story, Transcript, read
from tests.dialects.world import World, served
from trunkline.auth.principal import ANONYMOUS, HOME, Principal, Role
from trunkline.contracts.steering import MessageTaken
from trunkline.contracts.task import Assignment, TaskSubmitted
from trunkline_sandbox.model.inbox import Deliver, decide

TASK = "0194589f6d0070008000000000000009"
TRANSCRIPTS = sorted((Path(__file__).parent / "transcripts").glob("*.http"))


def coming(world: World, who: Principal) -> Story:
    async def comes() -> None:
        world.principal = who

    return comes


def handshake(world: World) -> Story:
    async def happens() -> None:
        answer_handshakes(world.hooks, world.now())

    return happens


def in_vain(world: World) -> Story:
    async def happens() -> None:
        send_in_vain(world.hooks, world.now())

    return happens


def given_up(world: World) -> Story:
    async def happens() -> None:
        some_given_up(world.letters, world.now())

    return happens


async def running(world: World) -> None:
    asked = Assignment(repo="acme/shop", prompt="Fix the login bug.")
    await world.say(TASK, TaskSubmitted(assignment=asked, submitted_by="dev-agent-1", deadline_at=world.now()))


async def taken(world: World) -> None:
    """As the carrier of a run does it: all that waits is seen, the first of it taken."""
    inbox = owners.inbox(world.events, HOME, TASK)
    assert inbox
    facts = (*decide(inbox, Deliver(1)), MessageTaken(message_id=inbox.waiting[0].id, attempt=1, sitting=1))
    await world.say(TASK, *facts, part="inbox")


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_conversation_goes_as_written(path: Path) -> None:
    world = working()
    people = {
        "dev-agent-1": AGENT,
        "agent-user": Principal(HOME, "agent-user", Role.AGENT),
        "dashboard": USER,
        "nobody": ANONYMOUS,
        "an admin": ADMIN,
    }
    told = {f"{name} comes": coming(world, who) for name, who in people.items()}
    told |= {"an agent of ours works": lambda: running(world), "the agent takes a message": lambda: taken(world)}
    told |= {"things are given up on": given_up(world)}
    told |= {"the handshake is answered": handshake(world), "something is sent in vain": in_vain(world)}
    async with served(world) as gateway, ClientSession(gateway.url) as session:
        await Transcript(read(path), told).play(session)
    assert TRANSCRIPTS
