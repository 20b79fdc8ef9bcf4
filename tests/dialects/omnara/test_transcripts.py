"""The surface as its document and its SDK have it, and every refusal in its shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dialects.homes import ANN
from tests.dialects.omnara.stories import dispatched
from tests.dialects.transcript import Transcript, read
from tests.dialects.world import World, talking
from trunkline.auth.principal import HOME, Principal, Role

FOLDER = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.http")), ids=lambda path: path.stem)
async def test_the_surface_answers_as_written(path: Path) -> None:
    world = World(principal=ANN)

    async def asks(principal: Principal) -> None:
        world.principal = principal

    stories = {
        "ann asks": lambda: asks(ANN),
        "bob of the same house asks": lambda: asks(Principal(HOME, "bob", Role.AGENT)),
        "a reader asks": lambda: asks(Principal(HOME, "rita", Role.USER)),
        "dispatches went this way and that": lambda: dispatched(world),
    }
    async with talking(world) as session:
        await Transcript(read(path), stories).play(session)
