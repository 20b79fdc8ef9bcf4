"""Snapshots from a Dockerfile on a real bus and this machine: built once for many, again when somebody says so, with errors by the line."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from tests.conformance.sandbox.agents import SMALL
from tests.conformance.sandbox.conftest import CLOUDS
from tests.flows.named_desk import QUICK, Desk, desk, eventually
from trunkline.bus import Bus, BusSettings, Stored, connect
from trunkline.bus.vital import vital
from trunkline.contracts import subjects
from trunkline.contracts.errors import Broken, Unsupported
from trunkline.contracts.ids import TenantId
from trunkline.contracts.image import GetImage, ImageBuilt, ImageFailed, ImageSaid, ImageStatus, ImageView, ImageWanted, InvalidateImages
from trunkline.contracts.message import Fact
from trunkline.contracts.sandbox import EnsureSandbox, SandboxStatus, SandboxView
from trunkline.runtime.clock import now
from trunkline.runtime.ids import new_id
from trunkline.testing.nats import nats_server
from trunkline_sandbox.adapters.providers.local import LocalProvider, kill_all
from trunkline_sandbox.adapters.providers.local.building import LocalImages
from trunkline_sandbox.adapters.providers.remote.image_cloud import called
from trunkline_sandbox.handlers.image_build import BuildImage
from trunkline_sandbox.handlers.image_host import Dockerfile
from trunkline_sandbox.handlers.image_log import Said
from trunkline_sandbox.handlers.image_news import IMAGE_NEWS
from trunkline_sandbox.handlers.images import HOME, ImageMeans
from trunkline_sandbox.handlers.named import NamedMeans, Sandboxes, put_together
from trunkline_sandbox.handlers.named_carry import Waits
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.image import Recipe, image_id
from trunkline_sandbox.settings import Settings
from trunkline_sandbox.subscriptions import subscribe_images, subscribe_named
from trunkline_sandbox.wiring import named_means, sandboxes

pytestmark = pytest.mark.flow
SECRET = "hunter2-is-what-nobody-may-read"
F = TypeVar("F", bound=Fact)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a Dockerfile, and one for sandboxes. No two Dockerfiles are the same, so that no test finds what another one built."""

    dir: Path

    @property
    def file(self) -> Path:
        return self.dir / "Dockerfile"

    def write(self, *lines: str) -> None:
        self.file.write_text("\n".join(("FROM scratch", f"LABEL unique={new_id()}", *lines, "")))

    def means(self, provider: LocalProvider, pause_s: float, build_s: float = 30) -> ImageMeans:
        host = LocalImages(provider, self.dir, replace(SMALL, disk=1 << 30))
        return ImageMeans(Dockerfile(self.file), {"local": host}, build_s=build_s, pause_s=pause_s, strike=struck)


def struck(text: str) -> str:
    return text.replace(SECRET, "[struck]")


@pytest.fixture
def place() -> Iterator[Place]:
    dir = Path(tempfile.mkdtemp(prefix="tls-", dir="/tmp"))
    dir.chmod(0o711)
    yield Place(dir)
    for boxes in dir.glob("boxes*"):
        kill_all(boxes)
    shutil.rmtree(dir)


def only_building(bus: Bus, named: Sandboxes) -> None:
    """A replica that goes on with nobody when a build ends, as one does that has not heard of them yet."""
    build = BuildImage(named.images, bus.log, now)

    async def on(stored: Stored) -> None:
        for fact in stored.record.facts:
            if isinstance(fact, ImageWanted):
                await build.build(subjects.parse_event(stored.subject).task, fact)

    bus.inlet.facts("sandbox-images", subjects.IMAGE, on, IMAGE_NEWS)


def only_waiting(bus: Bus, named: Sandboxes) -> None:
    subscribe_named(bus.inlet, named)


def everything(bus: Bus, named: Sandboxes) -> None:
    subscribe_named(bus.inlet, named)
    subscribe_images(bus.inlet, named)


@asynccontextmanager
async def replica(
    url: str, place: Place, pause_s: float = 60.0, subscribe: Callable[[Bus, Sandboxes], None] = everything, waits: Waits = QUICK
) -> AsyncIterator[Desk]:
    provider = LocalProvider(place.dir / "boxes")
    async with before(url, NamedMeans({"local": provider}, Caps(per_user=0), waits, place.means(provider, pause_s)), subscribe) as here:
        yield replace(here, tenant=f"t-{place.dir.name[4:]}")
    provider.close()


@asynccontextmanager
async def at_another_site(url: str, place: Place, build_s: float = 30) -> AsyncIterator[Desk]:
    provider = LocalProvider(place.dir / "boxes-too")
    async with before(url, NamedMeans({"local": provider}, Caps(per_user=0), QUICK, place.means(provider, 60.0, build_s))) as here:
        yield replace(here, tenant=f"t-{place.dir.name[4:]}")
    provider.close()


async def made_at(here: Desk, other: Desk, *statuses: SandboxStatus) -> SandboxView:
    """A new sandbox at one of two sites: whoever hears the wish first makes it, so the other one is held until it cannot any more."""
    wish = EnsureSandbox(tenant=here.tenant, at=now(), sandbox_id=f"sbx-{new_id()}", user="ann", by="key", reuse=False)
    async with other.named.carry._turns.setdefault(here.key(wish.sandbox_id), asyncio.Lock()):
        await here.send(wish)
        await here.named.carry.drive(here.key(wish.sandbox_id))
        return await here.until(wish.sandbox_id, *statuses)


async def test_a_site_that_lacks_what_another_one_built_builds_it_too_and_drops_it_for_nobody(url: str, place: Place) -> None:
    place.write("RUN echo once >> made")
    async with replica(url, place) as near, at_another_site(url, place) as far:
        views = [await made_at(near, far, SandboxStatus.READY), await made_at(far, near, SandboxStatus.READY)]
        views += [await made_at(near, far, SandboxStatus.READY)]
        assert len({view.site for view in views}) == 2
        (built,) = await told(near, place, ImageBuilt)
        assert {view.image for view in views} == {built.name}, "each site's build undid the other's"
        assert built.site == views[0].site
    for boxes, view in (("boxes", views[0]), ("boxes-too", views[1])):
        assert (place.dir / boxes / view.sandbox_id / "box" / "workspace" / "made").read_text() == "once\n"


async def test_a_site_that_cannot_build_what_another_one_built_says_so_and_harms_nobody(url: str, place: Place) -> None:
    place.write("RUN sleep 0.3; touch made")
    async with replica(url, place) as near, at_another_site(url, place, build_s=0.05) as far:
        await made_at(near, far, SandboxStatus.READY)
        failed = await made_at(far, near, SandboxStatus.ERROR)
        assert (failed.code, "0.05 s" in failed.error) == ("SNAPSHOT_BUILD_FAILED", True)
        assert (await made_at(near, far, SandboxStatus.READY)).image


@asynccontextmanager
async def before(url: str, means: NamedMeans, subscribe: Callable[[Bus, Sandboxes], None] = everything) -> AsyncIterator[Desk]:
    """One process of the sandbox service before a provider."""
    async with connect(BusSettings(nats_url=url), "sandbox") as bus:
        named = put_together(bus, means, now)
        await named.start()
        subscribe(bus, named)
        await bus.inlet.start("sandbox")
        async with vital(named.book.run, named.image_ends.run):
            yield Desk(bus, named, None, f"t-{new_id()[-8:]}")  # type: ignore[arg-type]


async def told(here: Desk, place: Place, kind: type[F], part: str = subjects.IMAGE, provider: str = "local") -> list[F]:
    """Every fact of a kind about the image of the Dockerfile as it is."""
    id = image_id(provider, Recipe.of(place.file.read_text()).digest)
    subject = (subjects.image if part == subjects.IMAGE else subjects.image_log)(TenantId(HOME), id)
    return [fact for stored in (await here.bus.log.load(subject)).records for fact in stored.record.facts if isinstance(fact, kind)]


@pytest.mark.parametrize("name", CLOUDS)
async def test_in_a_cloud_many_creates_at_two_replicas_build_once_and_one_that_lies_is_built_anew(
    url: str, place: Place, name: str
) -> None:
    place.file.write_text(f"FROM python:3.12\nLABEL unique={new_id()}\nCOPY tool.txt ./\nRUN echo built with {SECRET} && echo x >> times\n")
    (place.dir / "tool.txt").write_text("a tool")
    async with CLOUDS[name](place.dir / "cloud") as far, AsyncExitStack() as both:
        far.fake.builds.faults.arm("build", "lost")
        host = far.provider.images(place.dir)
        images = ImageMeans(Dockerfile(place.file), {name: host}, name, build_s=30, strike=struck)
        means = NamedMeans({name: far.provider}, Caps(provider=name, per_user=0), QUICK, images)
        here, _there = [await both.enter_async_context(before(url, means)) for _ in range(2)]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(here.ensure(f"user-{at % 3}")) for at in range(12)]
        views = [await here.until(id, SandboxStatus.READY, SandboxStatus.ERROR) for id in {(await each).sandbox_id for each in asked}]
        assert [view.status for view in views] == [SandboxStatus.READY] * 3, views
        homes = [box.place.home for box in far.fake.boxes.values()]
        assert [(home / "times").read_text() + (home / "tool.txt").read_text() for home in homes] == ["x\na tool"] * 3
        (wanted,) = await told(here, place, ImageWanted, provider=name)
        (built,) = await told(here, place, ImageBuilt, provider=name)
        assert far.fake.builds.begun == [called("trunkline", wanted.name)] and built.name == wanted.name
        log = [line for said in await told(here, place, ImageSaid, subjects.BUILD, name) for line in said.lines]
        assert "built with [struck]" in log and SECRET not in str(log) and len(log) == len(set(log))

        next(iter(far.fake.builds.images.values())).state, next(iter(far.fake.builds.images.values())).lies = "failed", True
        view = await here.until((await here.ensure("dan")).sandbox_id, SandboxStatus.READY, SandboxStatus.ERROR)
        assert (view.status, view.code) == (SandboxStatus.ERROR, "IMAGE_GONE"), view
        await here.ready("dan")
        assert len(await told(here, place, ImageBuilt, provider=name)) == 2

        place.file.write_text("FROM python:3.12\nRUN echo so not && exit 3\n")
        view = await here.until((await here.ensure("eve")).sandbox_id, SandboxStatus.ERROR)
        assert view.code == "SNAPSHOT_BUILD_FAILED" and "exit 3" in view.error
        assert "so not" in str(await told(here, place, ImageSaid, subjects.BUILD, name))


async def standing(here: Desk) -> ImageView:
    return ImageView.model_validate((await here.bus.commands.send("sandbox", "-", GetImage(tenant=here.tenant, at=now()))).body)


async def invalidate(here: Desk) -> None:
    await here.bus.commands.send("sandbox", "-", InvalidateImages(tenant=here.tenant, at=now(), by="ann"))


def file_of(place: Place, view: SandboxView, name: str) -> str:
    return (place.dir / "boxes" / view.sandbox_id / "box" / "workspace" / name).read_text()


async def test_sixty_four_creates_at_two_replicas_build_once(url: str, place: Place) -> None:
    (place.dir / "tool.txt").write_text("a tool")
    place.write("COPY tool.txt ./", f"RUN echo built with {SECRET} && echo x >> times")
    async with AsyncExitStack() as both:
        here, _there = [await both.enter_async_context(replica(url, place)) for _ in range(2)]
        assert (await standing(here)).status is ImageStatus.NONE
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(here.ensure(f"user-{at % 6}")) for at in range(64)]
        ids = {(await each).sandbox_id for each in asked}
        views = [await here.until(id, SandboxStatus.READY, SandboxStatus.ERROR) for id in ids]
        assert len(ids) == 6 and {view.status for view in views} == {SandboxStatus.READY}, views
        assert {(file_of(place, view, "tool.txt"), file_of(place, view, "times")) for view in views} == {("a tool", "x\n")}
        (wanted,), (built,) = await told(here, place, ImageWanted), await told(here, place, ImageBuilt)
        assert wanted.name == built.name == (await standing(here)).name
        log = "\n".join(line for said in await told(here, place, ImageSaid, subjects.BUILD) for line in said.lines)
        assert "built with [struck]" in log and SECRET not in log and "line 4: RUN" in log


async def test_whoever_waits_at_another_replica_than_the_one_that_builds_goes_on_when_it_ends(url: str, place: Place) -> None:
    place.write("RUN until [ -e go ]; do sleep 0.02; done")
    async with replica(url, place, subscribe=only_building), replica(url, place, subscribe=only_waiting) as here:
        ids = [(await here.ensure(user)).sandbox_id for user in ("ann", "bob")]
        await eventually(lambda: list(place.dir.glob("boxes/image-*/runs/*")), "no step began")
        await eventually(lambda: len(here.named.carry.waiting) == 2, "nobody waits")
        (box,) = place.dir.glob("boxes/image-*/box/workspace")
        (box / "go").touch()
        for id in ids:
            await here.until(id, SandboxStatus.READY)
        assert len(await told(here, place, ImageBuilt)) == 1 and not here.named.carry.waiting


async def test_an_invalidated_snapshot_is_built_again_under_another_name(url: str, place: Place) -> None:
    (place.dir / "version").write_text("1")
    place.write("COPY version ./")
    async with replica(url, place) as here:
        await invalidate(here)  # nothing was built: nothing is to be done
        first = await here.ready("ann")
        (place.dir / "version").write_text("2")
        assert file_of(place, await here.ready("bob"), "version") == "1", "it is kept"
        await invalidate(here)
        assert (await standing(here)).status is ImageStatus.NONE
        assert file_of(place, await here.ready("cy"), "version") == "2"
        assert (await here.ready("ann")).sandbox_id == first.sandbox_id and file_of(place, first, "version") == "1"
        shutil.rmtree(place.dir / "boxes" / ".images")
        (place.dir / "version").write_text("3")
        assert file_of(place, await here.ready("dan"), "version") == "3", "what is lost is built again"
        names = [fact.name for fact in await told(here, place, ImageWanted)]
        assert len(set(names)) == 3 and names == sorted(names) and all(name.startswith("omni-snapshot-20") for name in names)


async def test_what_two_builders_say_at_once_is_told_once(url: str) -> None:
    async with connect(BusSettings(nats_url=url), "sandbox") as bus:
        place = (subjects.image_log(HOME, f"image-{new_id()}"), "omni-snapshot-1")
        first, second = [Said(bus.log, place, str, now) for _ in range(2)]
        for said in (first, second):
            await said.start()
        for number in range(1, 200):
            for said, ahead in ((first, number), (second, number - 5)):
                said.add(f"line {ahead}") if ahead > 0 else None
            if number % 20 == 0:
                async with asyncio.TaskGroup() as group:
                    for said in (first, second):
                        group.create_task(said.flush())
        await second.flush()
        await first.flush()
        third = Said(bus.log, place, str, now)
        await third.start()
        for number in range(1, 202):
            third.add(f"line {number}")
        await third.flush()
        lines = [line for stored in (await bus.log.load(place[0])).records for fact in stored.record.facts for line in fact.lines]  # type: ignore[attr-defined]
        assert lines == [f"line {number}" for number in range(1, 202)]


async def test_a_dockerfile_that_fails_says_where_and_is_not_tried_in_a_loop(url: str, place: Place) -> None:
    place.write(f"RUN echo the key is {SECRET} && exit 7")
    async with replica(url, place) as here:
        view = await here.until((await here.ensure("ann")).sandbox_id, SandboxStatus.ERROR)
        assert view.code == "SNAPSHOT_BUILD_FAILED" and "line 3: RUN echo" in view.error and SECRET not in view.error
        with pytest.raises(Broken, match="line 3: RUN echo") as refused:
            await here.ensure("ann")
        assert refused.value.code == "SNAPSHOT_BUILD_FAILED" and 0 < int(str(refused.value.details["retry_after"])) <= 60
        assert len(await told(here, place, ImageWanted)) == len(await told(here, place, ImageFailed)) == 1
        failed = await standing(here)
        assert (failed.status, failed.code) == (ImageStatus.ERROR, "DOCKERFILE_STEP_FAILED") and failed.retry_at
        place.write("RUN echo mended > said")
        assert file_of(place, await here.ready("ann"), "said") == "mended\n"


async def test_after_a_while_a_snapshot_that_failed_is_tried_again(url: str, place: Place) -> None:
    place.write("COPY late.txt ./")
    async with replica(url, place, pause_s=0.3) as here:
        await here.until((await here.ensure("ann")).sandbox_id, SandboxStatus.ERROR)
        (place.dir / "late.txt").write_text("late")
        await asyncio.sleep(0.4)
        assert file_of(place, await here.ready("ann"), "late.txt") == "late"


async def test_a_build_whose_service_ends_is_gone_on_with_by_the_next(url: str, place: Place) -> None:
    place.write("RUN echo x >> times && until [ -e go ]; do sleep 0.02; done", "RUN echo y >> times")
    async with replica(url, place) as here:
        id = (await here.ensure("ann")).sandbox_id
        await eventually(lambda: list(place.dir.glob("boxes/image-*/box/workspace/times")), "no step began")
        (name,) = await told(here, place, ImageWanted)
    (box,) = place.dir.glob("boxes/image-*/box/workspace")
    (box / "go").touch()
    async with replica(url, place, waits=replace(QUICK, orphaned_s=0.5)) as there:
        view = await there.until(id, SandboxStatus.READY, SandboxStatus.ERROR)
        assert file_of(place, view, "times") == "x\ny\n", view
        assert await told(there, place, ImageWanted) == [name]
        lines = [line for said in await told(there, place, ImageSaid, subjects.BUILD) for line in said.lines]
        assert [line for line in lines if line.startswith("line")] == list(dict.fromkeys(line for line in lines if line.startswith("line")))


async def test_an_invalidated_build_is_ended_and_its_waiters_get_the_next(url: str, place: Place) -> None:
    place.write("COPY step.sh ./", "RUN sh step.sh")
    (place.dir / "step.sh").write_text("while true; do sleep 0.05; done")
    async with replica(url, place) as here:
        id = (await here.ensure("ann")).sandbox_id
        await eventually(lambda: list(place.dir.glob("boxes/image-*/runs/*")), "no step began")
        (place.dir / "step.sh").write_text("echo quick")
        await invalidate(here)
        await here.until(id, SandboxStatus.READY)
        names = [fact.name for fact in await told(here, place, ImageWanted)]
        assert len(names) == 2 and [fact.name for fact in await told(here, place, ImageBuilt)] == names[1:]
        await eventually(lambda: not list(place.dir.glob("boxes/image-*")), "the build that counts no more was left")


def test_the_settings_say_which_dockerfile(place: Place) -> None:
    provider = LocalProvider(place.dir / "boxes")
    means = named_means(Settings.model_validate({"sandbox_dockerfile": place.file, "snapshot_retry_s": 5}), provider).images
    assert (means.dockerfile.path, means.pause_s, list(means.hosts)) == (place.file, 5, ["local"])
    assert named_means(Settings.model_validate({}), provider).images.dockerfile.read() is None
    provider.close()
    for cloud in CLOUDS:
        far = Settings.model_validate({"sandbox_dockerfile": place.file, "sandbox": cloud, "daytona_api_key": "k", "e2b_api_key": "k"})
        there = named_means(far, sandboxes(far)).images
        assert (list(there.hosts), there.provider) == ([cloud], cloud)


async def test_what_cannot_be_built_here_is_refused_before_anything_is_made(url: str, place: Place) -> None:
    place.file.write_text("FROM node:20\n")
    async with replica(url, place) as here:
        with pytest.raises(Broken, match="line 1: FROM node:20"):
            await here.ensure("ann")
        place.file.unlink()
        with pytest.raises(Broken, match="cannot be read"):
            await here.ensure("ann")
        assert (await standing(here)).code == "DOCKERFILE_NOT_FOUND"
        with pytest.raises(Broken, match="cannot be read"):
            await invalidate(here)
    place.write()
    async with desk(url, images=ImageMeans(Dockerfile(place.file))) as cloud:
        with pytest.raises(Unsupported, match="builds no snapshot") as cannot:
            await cloud.ensure("ann")
        assert cannot.value.code == "PROVIDER_CANNOT"
