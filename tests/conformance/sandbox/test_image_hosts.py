"""What every provider that builds images does: built once and told whole, begun with, dropped; a step that fails says so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import SMALL, Box, shell
from tests.conformance.sandbox.conftest import CLOUDS
from trunkline.contracts.errors import DomainError, Invalid
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import LocalProvider
from trunkline_sandbox.adapters.providers.local.building import LocalImages
from trunkline_sandbox.handlers.image_host import IMAGE, ImageHost
from trunkline_sandbox.model.image import Recipe
from trunkline_sandbox.ports import SandboxSpec

NAME = "omni-snapshot-2026-11-22T04-00-00-000Z"


@dataclass(frozen=True, slots=True)
class Yard:
    """Where images are built, and a sandbox that may begin with one."""

    host: ImageHost
    box: Box
    base: str

    def recipe(self, *lines: str) -> Recipe:
        return Recipe.of("\n".join((f"FROM {self.base}", *lines)))

    async def built(self, recipe: Recipe) -> list[str]:
        return [line async for line in self.host.build(recipe, NAME)]


@asynccontextmanager
async def yard(name: str, root: Path, context: Path) -> AsyncIterator[Yard]:
    if name != "local":
        async with CLOUDS[name](root) as far:
            host = far.provider.images(context)
            assert host is not None
            yield Yard(host, far, "python:3.12")
        return
    local = LocalProvider(root)
    yield Yard(LocalImages(local, context, SMALL), Box(local, root), "scratch")
    local.close()


@pytest.fixture(params=["local", *CLOUDS])
async def here(root: Path, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Yard]:
    async with yard(request.param, root, tmp_path) as found:
        yield found


async def test_what_a_dockerfile_makes_is_what_a_sandbox_begins_with(here: Yard, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "greeting").write_text("hello")
    (tmp_path / "tools" / "secret.key").write_text("s")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / ".dockerignore").write_text("**/*.key\n")
    recipe = here.recipe("COPY tools/ ./", "COPY a.txt b.txt", "RUN echo said aloud && cat greeting b.txt > made")
    host: object = here.host
    assert here.box.provider.ability.snapshots and isinstance(host, ImageHost) and host.name == here.box.provider.name
    here.host.check(recipe)
    assert not await here.host.has(NAME)
    said = await here.built(recipe)
    assert "said aloud" in said and said[-1].endswith("is built") and await here.host.has(NAME)
    assert await here.built(recipe) in ([], said), "it is built once"
    await here.box.provider.ensure(SandboxSpec(here.box.id, SMALL, {"sandbox": here.box.id, IMAGE: NAME}))
    heard = await here.box.run(shell("cd .; [ -e made ] || cd ../..; cat made; ls secret.key 2>/dev/null"))
    assert heard.text == "helloa"
    assert [one.labels[IMAGE] for one in await here.box.provider.list() if one.id == here.box.id] == [NAME]


async def test_a_step_that_fails_is_told_and_leaves_nothing_to_begin_with(here: Yard) -> None:
    with pytest.raises(Invalid, match="echo so not && exit 3") as failed:
        await here.built(here.recipe("RUN true", "RUN echo so not && exit 3"))
    assert failed.value.code == "DOCKERFILE_STEP_FAILED" and not await here.host.has(NAME)
    for _ in range(2):
        await here.host.discard(NAME)
    with pytest.raises(DomainError) as gone:
        await here.box.provider.ensure(SandboxSpec(SandboxId("box-2"), SMALL, {"sandbox": "box-2", IMAGE: NAME}))
    assert gone.value.code == "IMAGE_GONE"


@pytest.mark.parametrize("line", ["COPY nothing ./", "COPY out ./"])
async def test_what_is_not_beside_the_dockerfile_is_told_by_its_line(here: Yard, tmp_path: Path, line: str) -> None:
    (tmp_path / "out").symlink_to("/etc/passwd")
    with pytest.raises(Invalid, match=f"line 2: {line}: ") as failed:
        await here.built(here.recipe(line))
    assert failed.value.code == "DOCKERFILE_STEP_FAILED"


async def test_what_no_provider_does_is_refused_before_anything_is_made(here: Yard) -> None:
    for line in ("ADD a.txt ./", "MAKE it", "COPY ../a ./", "RUN cat <<EOF", "RUN"):
        with pytest.raises(DomainError, match="line 2"):
            here.host.check(here.recipe(line))
    with pytest.raises(DomainError, match="begins with FROM|may stand before FROM"):
        here.host.check(Recipe.of("RUN true"))
