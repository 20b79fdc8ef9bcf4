"""What a Dockerfile copies from beside it, gathered into a folder of its own, so that nothing else can be carried to a cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trunkline_sandbox.adapters.providers.local import trees
from trunkline_sandbox.adapters.providers.local.staging_copies import Ignored, failed, sources, take
from trunkline_sandbox.model.image import Recipe
from trunkline_sandbox.model.local_steps import CopyStep

DOCKERFILE: Final = "Dockerfile"


def stage(context: Path, recipe: Recipe, copies: tuple[CopyStep, ...], into: Path) -> Path:
    """Make the folder `into` hold the Dockerfile as it was read and what it copies, by the same names; where the Dockerfile lies in it.

    `.dockerignore` is heeded, and no link leads out. Raises Invalid with the line.
    """
    trees.remove(into)
    into.mkdir(parents=True, mode=0o700)
    ignored = Ignored.of(context)
    for step in copies:
        for source in sources(context, step):
            target = into / source.relative_to(context)
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                take(context, source, target, ignored)
            except OSError as error:
                raise failed(step, f"it cannot be copied: {error.strerror or 'some of it cannot be read'}") from error
    (into / DOCKERFILE).write_text(recipe.text)
    return into / DOCKERFILE


def carries(dockerfile: Path) -> bool:
    """Whether anything lies beside it."""
    return any(path != dockerfile for path in dockerfile.parent.iterdir())
