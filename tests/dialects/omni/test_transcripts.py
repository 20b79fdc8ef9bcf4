"""The document's own answers, and every refusal in its shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.dialects.omni.stories import TASK, merged, runs_ill, submitted
from tests.dialects.omnis import OmniTerms
from tests.dialects.transcript import Transcript, read
from tests.dialects.world import World, talking
from trunkline.auth.principal import HOME, Principal, Role

FOLDER = Path(__file__).parent / "transcripts"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.http")), ids=lambda path: path.stem)
async def test_the_surface_answers_as_written(path: Path) -> None:
    world = World(omni=OmniTerms(), principal=Principal(HOME, "ann", Role.AGENT))
    stories = {
        "a job is asked for": lambda: world.say(TASK, submitted()),
        "it fails": lambda: runs_ill(world),
        "it is merged": lambda: world.say(TASK, merged()),
    }
    async with talking(world) as session:
        await Transcript(read(path), stories).play(session)
