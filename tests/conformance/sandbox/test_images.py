"""Images of the local provider: what a Dockerfile says is done in a sandbox, and others begin with it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import SMALL, Box, shell
from trunkline.contracts.errors import DomainError, Invalid, Unavailable, Unsupported
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.adapters.providers.local.building import LocalImages
from trunkline_sandbox.adapters.providers.local.images import KEPT
from trunkline_sandbox.handlers.image_host import BUILD, IMAGE, ImageHost
from trunkline_sandbox.model.image import Recipe
from trunkline_sandbox.ports import Launch, SandboxSpec

FIRST, SECOND, THIRD = (f"omni-snapshot-2026-11-22T04-00-0{second}-000Z" for second in range(3))
DOCKERFILE = Recipe.of(
    """FROM scratch
ARG WHO=world
ENV GREETING="hello ${WHO}" PATH=/home/agent/bin:$PATH
WORKDIR src
COPY tools/ /home/agent/bin/
COPY a.txt b.txt
COPY . /workspace/all
RUN echo "$GREETING to $WHO" | tee said.txt && \\
    ln -s /etc/passwd way-out && mkdir -p deep/er
RUN ["greet"]
"""
)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "greet").write_text("#!/bin/sh\necho I greet in $PWD\n")
    (tmp_path / "tools" / "greet").chmod(0o755)
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "secret.key").write_text("s")
    (tmp_path / ".dockerignore").write_text("*.key\ntools\n!tools/greet\n")
    return tmp_path


async def built(images: LocalImages, recipe: Recipe = DOCKERFILE, name: str = FIRST) -> list[str]:
    return [line async for line in images.build(recipe, name)]


async def begun(box: Box, name: str) -> None:
    await box.provider.ensure(SandboxSpec(box.id, SMALL, {"tenant": "t", "sandbox": box.id, IMAGE: name}))


async def test_a_sandbox_begins_with_what_the_dockerfile_made(walled: Box, context: Path) -> None:
    images = LocalImages(walled.provider, context, SMALL)
    assert isinstance(images, ImageHost) and walled.provider.ability.snapshots
    said = await built(images)
    assert "hello world to world" in said and "I greet in /workspace/src" in said and f"{FIRST} is built" in said
    assert any(line.startswith("line 8: RUN echo") for line in said)
    assert await images.has(FIRST) and not await images.has(SECOND)
    assert not await walled.provider.list(), "the sandbox of the build is gone"

    await begun(walled, FIRST)
    script = 'echo "$GREETING"; cat src/said.txt src/b.txt; echo; ls all; greet; readlink src/way-out; touch src/deep/er/mine; id -u'
    heard = await walled.run(Launch("k", ("/bin/sh", "-c", script), {}))
    expected = ["hello world", "hello world to world", "a", "a.txt", "tools", "I greet in /workspace", "/etc/passwd", "1000"]
    assert heard.text.splitlines() == expected and heard.exit.code == 0
    assert not (walled.dir / "box/workspace/all/secret.key").exists()
    assert (await walled.hear(key="k")).exit.code == 0


async def test_what_is_changed_in_a_sandbox_changes_neither_the_image_nor_others(walled: Box, context: Path) -> None:
    images = LocalImages(walled.provider, context, SMALL)
    await built(images, Recipe.of("FROM scratch\nCOPY a.txt ./"))
    await begun(walled, FIRST)
    await walled.run(shell("echo mine > a.txt"))
    await begun(walled, FIRST)
    assert (walled.dir / "box/workspace/a.txt").read_text() == "mine\n", "made twice it is laid out once"
    other = Box(walled.provider, walled.root, SandboxId("box-2"))
    await begun(other, FIRST)
    assert (other.dir / "box/workspace/a.txt").read_text() == "a"
    variables = await other.run(Launch("k", ("/bin/sh", "-c", "echo $HOME $PATH"), {"PATH": "/usr/bin:/bin"}))
    assert variables.text == "/home/agent /usr/bin:/bin"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "FROM scratch\nRUN echo first\nRUN echo so not && exit 3",
            "line 3: RUN echo so not && exit 3: it ended with 3; its last words: so not",
        ),
        ("FROM scratch\nRUN touch /usr/here", "line 2: RUN touch /usr/here: it ended with 1; its last words: touch"),
        ("FROM scratch\nCOPY nothing ./", "line 2: COPY nothing ./: there is no nothing beside the Dockerfile"),
        ("FROM scratch\nCOPY out ./", "line 2: COPY out ./: out leads out of the folder of the Dockerfile"),
    ],
)
async def test_a_step_that_fails_is_told_by_its_line(walled: Box, context: Path, text: str, says: str) -> None:
    os.symlink("/etc/passwd", context / "out")
    images = LocalImages(walled.provider, context, SMALL)
    with pytest.raises(Invalid) as failed:
        await built(images, Recipe.of(text))
    assert failed.value.message.startswith(says) and failed.value.code == "DOCKERFILE_STEP_FAILED"
    await images.discard(FIRST)
    assert not await walled.provider.list() and not await images.has(FIRST)


async def test_a_build_that_was_left_goes_on_where_it_stood(walled: Box, context: Path) -> None:
    recipe = Recipe.of("FROM scratch\nRUN echo once >> /workspace/log\nRUN echo twice >> /workspace/log")
    images = LocalImages(walled.provider, context, SMALL)
    lines = images.build(recipe, FIRST)
    async for line in lines:
        if line.startswith("line 3"):
            break
    await lines.aclose()  # type: ignore[attr-defined]
    later = LocalProvider(walled.root)
    again = LocalImages(later, context, SMALL)
    await built(again, recipe)
    await begun(walled, FIRST)
    assert (walled.dir / "box/workspace/log").read_text() == "once\ntwice\n"
    assert await built(again, recipe) == []
    later.close()


async def test_only_the_newest_are_kept_and_what_was_left_over_goes(walled: Box, context: Path) -> None:
    images = LocalImages(walled.provider, context, SMALL)
    await walled.provider.ensure(SandboxSpec(SandboxId("left-over"), SMALL, {BUILD: "omni-snapshot-older"}))
    for name in (FIRST, SECOND, THIRD):
        await built(images, Recipe.of("FROM scratch"), name)
    assert [await images.has(name) for name in (FIRST, SECOND, THIRD)] == [False, True, True] and KEPT == 2
    with pytest.raises(Unavailable) as lost:
        await begun(walled, FIRST)
    assert lost.value.code == "IMAGE_GONE"


async def test_what_cannot_be_done_is_refused_before_anything_is(walled: Box, context: Path) -> None:
    images = LocalImages(walled.provider, context, SMALL)
    with pytest.raises(Unsupported, match="line 1: FROM node:20"):
        images.check(Recipe.of("FROM node:20\nRUN npm i"))
    with pytest.raises(DomainError):
        await built(images, Recipe.of("FROM node:20"))
    assert not await walled.provider.list()


async def test_without_walls_it_is_built_too(near: Box, context: Path) -> None:
    images = LocalImages(near.provider, context, SMALL)
    await built(images, Recipe.of("FROM scratch\nENV WHO=me\nWORKDIR src\nCOPY a.txt ./\nRUN echo $WHO >> a.txt"))
    await begun(near, FIRST)
    assert (near.dir / "box/workspace/src/a.txt").read_text() == "ame\n"
    assert (await near.run(shell("echo $WHO"))).text == "me"
