"""Named sandboxes at emulated clouds, with the clouds' own SDKs: they live as long as they may, and faulty makings leave nothing behind."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.campaigns import tries
from tests.conformance.sandbox.conftest import CLOUDS, Far
from tests.flows.named_desk import Desk, at, eventually
from trunkline.contracts.errors import DomainError
from trunkline.contracts.sandbox import EnsureSandbox, SandboxStatus, SandboxTerms
from trunkline.runtime.clock import now
from trunkline.testing.nats import nats_server
from trunkline_sandbox.handlers.named_carry import Waits
from trunkline_sandbox.handlers.named_terms import Caps
from trunkline_sandbox.model.named import Effect, Phase, next_effect

pytestmark = pytest.mark.flow
READY, STOPPED, ERROR = SandboxStatus.READY, SandboxStatus.STOPPED, SandboxStatus.ERROR
ANY: Final = Caps(per_user=0, per_tenant=0, ttl_s=86400)
HASTY: Final = {"call_s": 1.5, "boot_s": 2.0, "pause_s": 0.02, "porter_s": 2.0, "move_s": 2.0}
PATIENT: Final = Waits(make_s=60, start_s=60, stop_s=60, tries=2, pause_s=0.02, poll_s=0.02)
RESTS: Final = {"daytona": "stopped", "e2b": "paused"}
AT_ONCE: Final = 16
FAULTS: Final = (
    *(("create", kind) for kind in ("timeout", "500", "429", "cut", "lost", "never_ready")),
    *((call, kind) for call in ("list", "get", "delete") for kind in ("500", "429", "cut", "lost")),
    ("exec", "500"), ("exec", "lost"), ("exec", "vanish"), ("exec", "lies"), ("upload", "cut"),
)  # fmt: skip


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with nats_server() as server:
        yield server.url


@pytest.fixture
def root() -> Iterator[Path]:
    """Short: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="tlc-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("cloud", CLOUDS)
async def test_the_idle_are_stopped_and_the_old_deleted_by_our_clocks(url: str, root: Path, cloud: str) -> None:
    async with CLOUDS[cloud](root) as far, at(url, far.provider, ANY, PATIENT) as here:
        idle = await here.ensure("idle", terms=SandboxTerms(idle_s=0.3))
        await here.until(idle.sandbox_id, STOPPED)
        await eventually(lambda: [box.state for box in far.fake.boxes.values()] == [RESTS[cloud]], "the cloud lets it run on")
        await here.delete(idle.sandbox_id)
        old = await here.ensure("old", terms=SandboxTerms(ttl_s=0.3))
        await eventually(lambda: here.named.book.of(here.tenant) == [] and not far.fake.boxes, "one lives on")
        assert old.expires_at is not None


async def test_after_a_thousand_faulty_creates_nothing_is_leaked(url: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Short: forty. One pass after the last of them, in which the cloud does as it is told."""
    dice, many = random.Random(6), tries(40, 1000)
    async with CLOUDS["daytona"](root, **HASTY) as far, at(url, far.provider, ANY, PATIENT) as here:
        hands = asyncio.Semaphore(AT_ONCE)

        async def one() -> str:
            async with hands:
                return await _faulty(here, far, dice)

        async with asyncio.TaskGroup() as group:
            ends = [group.create_task(one()) for _ in range(many)]
        struck, before = Counter(f"{call} {kind}" for call, kind in far.fake.faults.struck), len(far.fake.boxes)
        far.fake.faults.armed.clear()
        await here.named.watch.once(patience=0)
        leaked, believed = await _leaked(here, far.fake), await _believed(here, far.fake)
    told = f"{many} creates, {dict(Counter(end.result() for end in ends))}; {before} machines before the pass; faults: {dict(struck)}"
    with capsys.disabled():
        print(f"\n{told}\nleaked after one pass: {len(leaked)}; believed alive and not there: {len(believed)}")
    assert (leaked, believed) == ([], []) and len(struck) > 5, told


async def _faulty(here: Desk, far: Far, dice: random.Random) -> str:
    """One create, with what goes wrong around it; how it stood then."""
    sandbox_id = f"sbx-{dice.getrandbits(128):032x}"
    for _ in range(dice.randint(1, 3)):
        far.fake.faults.arm(*dice.choice(FAULTS), times=dice.choice((1, 1, 4)))
    await here.send(EnsureSandbox(tenant=here.tenant, at=now(), sandbox_id=sandbox_id, user="ann", by="key", reuse=False))
    view = await here.until(sandbox_id, READY, ERROR)
    fate = dice.choice(("kept", "deleted", "vanished", "twice"))
    machines = [box for box in far.fake.boxes.values() if box.body.get("labels", {}).get("trunkline.sandbox") == sandbox_id]
    if fate == "deleted":
        with suppress(DomainError):
            await here.delete(sandbox_id)
    elif view.status is READY and machines:
        far.fake.remove(machines[0]) if fate == "vanished" else far.fake.twin(machines[0]) if fate == "twice" else None
    return f"{view.status} {view.code}".strip()


async def _leaked(here: Desk, fake: Any) -> list[str]:
    """Machines of no sandbox that lives."""
    machines = Counter(str(box.body["labels"]["trunkline.sandbox"]) for box in fake.boxes.values())
    known = {id: await here.named.book.look(here.key(id)) for id in machines}
    living = {id for id, named in known.items() if named and not named.over and next_effect(named) is not Effect.CLEAN}
    return [id for id, count in machines.items() if id not in living or count > 1]


async def _believed(here: Desk, fake: Any) -> list[str]:
    """Sandboxes that we say are ready, and that nobody has."""
    there = {str(box.body["labels"]["trunkline.sandbox"]) for box in fake.boxes.values() if box.state == "started"}
    return [key.id for key, named in here.named.book.of(here.tenant) if named.phase is Phase.READY and key.id not in there]
