"""The sandboxes below one directory, by plain blocking calls; every one may be repeated and interrupted anywhere."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from trunkline.contracts.errors import Conflict, Exhausted, Invalid, NotFound, Unavailable
from trunkline.contracts.ids import SandboxId
from trunkline_sandbox.adapters.providers.local import giving, identity, journal, limits, locks, places, reaping, seats, standing, trees
from trunkline_sandbox.adapters.providers.local.ahead import Ahead
from trunkline_sandbox.adapters.providers.local.handed import Handed
from trunkline_sandbox.adapters.providers.local.limits import Groups
from trunkline_sandbox.adapters.providers.local.places import Place, Record, Run
from trunkline_sandbox.adapters.providers.local.starting import Engine, Order, make_ahead, start
from trunkline_sandbox.model import Entry
from trunkline_sandbox.ports import Launch, Limits, SandboxSpec


@dataclass(frozen=True, slots=True)
class Boxes:
    """All of this machine's sandboxes below `root`."""

    root: Path
    engine: Engine
    groups: Groups
    first_uid: int | None
    """Each sandbox gets a user of its own from here on; None when we are no root."""
    isolation: str
    site: str = ""
    """What this root is called by those who cannot see it."""

    def prepare(self) -> None:
        """Make the root, and clear what those left who were interrupted while they made or removed one."""
        self.root.mkdir(parents=True, exist_ok=True)
        if self.first_uid is not None:
            self.root.chmod(0o711)
        with locks.locked(self.root / ".lock"):  # whoever makes one holds it until it is there: what is half made is nobody's
            for entry in self.root.glob(".new-*"):
                trees.remove(entry)
            self._drop_strays()
        for entry in self.root.glob(".gone-*"):
            trees.remove(entry)

    def _drop_strays(self) -> None:
        """The control groups of what is not there."""
        prefix = self._group("")
        for name in limits.names(self.groups, prefix):
            if not Place(self.root / name.removeprefix(prefix)).record.exists():
                limits.drop_empty(limits.named(self.groups, name))

    def ensure(self, spec: SandboxSpec) -> Record:
        place = self._place(spec.id)
        with locks.locked(self.root / ".lock"):
            record = places.load(place.record)
            if record is None:
                record = self._made(place, spec)
        return record

    def _made(self, place: Place, spec: SandboxSpec) -> Record:
        """Whole, or nothing is left of it: without a record nobody would find the rest."""
        try:
            record = self._record(spec)
            self._build(place, record)
        except Exception:
            limits.drop(self._groups(spec.id))
            trees.remove(_new(place).dir)
            raise
        return record

    def _record(self, spec: SandboxSpec) -> Record:
        uid = None
        if self.first_uid is not None:
            uid = identity.free_uid(self.first_uid, reaping.users(self.root))
            if uid is None:
                raise Exhausted(f"All {identity.COUNT} users for sandboxes are taken.", code="NO_SANDBOX_USER", retry_after=60)
        return Record(spec, uid, self.isolation, self._cage(spec), self._seats(spec), self.site)

    def _seats(self, spec: SandboxSpec) -> tuple[int, ...]:
        if limits.divides_time(self.groups):
            return ()
        taken = (seat for _, record in reaping.known(self.root) for seat in record.seats)
        return seats.choose(spec.id, spec.limits.cpus, os.sched_getaffinity(0), taken)

    def _build(self, place: Place, record: Record) -> None:
        """Lay it out beside its place, so that it is there whole or not at all."""
        new = _new(place)
        trees.remove(new.dir)
        for dir in (new.workspace, new.home):
            dir.mkdir(parents=True, mode=0o700)
        new.egress.mkdir(mode=0o755)
        (new.dir / "runs").mkdir(mode=0o700)
        (new.dir / "shown").mkdir(mode=0o755)
        new.dir.chmod(0o711)
        if record.uid is not None:
            for dir in (new.dir / "box", new.workspace, new.home):
                os.chown(dir, record.uid, record.uid)  # a program that did it would cost more than all the rest
        (new.dir / "box").chmod(0o711)
        places.save(new.record, record)
        os.rename(new.dir, place.dir)

    def give(self, id: SandboxId, workspace: Path, ahead: Ahead | None = None) -> None:
        """What was started `ahead` has the folder in its sight already: it stays the folder that it is."""
        with self._held(id) as (place, record):
            beside = ahead.run if ahead and ahead.stands() else None
            self._send_away(place, beside)
            self._idle(place, record, beside)
            giving.give(place, workspace, in_place=beside is not None)
            place.workspace.chmod(0o700)
            trees.give_away(place.workspace, record.uid)
            giving.clear(place)

    def make_ahead(self, id: SandboxId, launch: Launch) -> Ahead | None:
        """See starting.make_ahead."""
        with self._held(id) as (place, record):
            self._send_away(place)
            if place.resting.exists() or reaping.busy(place):
                return None
            return make_ahead(self.engine, Order(place, self._caged(place, record), launch))

    def _send_away(self, place: Place, beside: Run | None = None) -> None:
        """Who waits for the word of somebody else, who hangs or is no more."""
        for run in place.runs():
            if run != beside:
                reaping.send_away(run)

    def start(self, id: SandboxId, launch: Launch, ahead: Ahead | None = None) -> None:
        """`ahead` is used, or sent away."""
        try:
            with self._held(id) as (place, record):
                if place.resting.exists():  # put to rest since whoever starts this looked: nothing runs in what counts as stopped
                    raise Conflict(f"The sandbox {id} was stopped before this began; start it, and ask again.", code="SANDBOX_STOPPED")
                run = place.run(launch.key)
                wanted = ahead if ahead and ahead.fits(run, launch) and ahead.stands() else None
                self._send_away(place, run if wanted else None)
                start(self.engine, Order(place, self._caged(place, record), launch), wanted)
        finally:
            if ahead:
                ahead.close()

    def _caged(self, place: Place, record: Record) -> Record:
        """The record with control groups that are there; they do not outlive a stop or a reboot."""
        if not all(os.path.isdir(dir) for dir in record.cage):
            self._cage(record.spec)
        return record

    def _cage(self, spec: SandboxSpec) -> tuple[str, ...]:
        try:
            return limits.make(self.groups, self._group(spec.id), spec.limits)
        except OSError as error:
            raise Unavailable(f"The control group of {spec.id} cannot be made: {error}.", code="NO_CGROUP") from error

    def _group(self, id: str) -> str:
        """Its control group's name, in every hierarchy; of "", what those of all sandboxes below this root begin with."""
        return f"trunkline-{hashlib.sha256(str(self.root).encode()).hexdigest()[:8]}-{id}"

    def _groups(self, id: SandboxId) -> tuple[str, ...]:
        return limits.named(self.groups, self._group(id))

    def stop(self, id: SandboxId, key: str = "", cause: str = "killed") -> None:
        try:
            with self._held(id) as (place, record):  # no start is made meanwhile
                if key and reaping.another_runs(place, key):
                    return
                reaping.stop(place, record, cause)
                limits.drop(record.cage)
        except NotFound:
            return

    def end(self, id: SandboxId, key: str, cause: str = "killed") -> None:
        """End one start, and nothing else that runs inside."""
        with suppress(NotFound), self._held(id) as (place, record):
            reaping.end(record, place.run(key), cause)

    def forget(self, id: SandboxId, key: str) -> None:
        """Remove the files of a start that has ended; one that just did is waited for a moment."""
        with suppress(NotFound), self._held(id) as (place, _):
            run, until = place.run(key), time.monotonic() + 2.0
            while reaping.held(run) and reaping.ended(run) and time.monotonic() < until:
                time.sleep(0.005)
            if not reaping.held(run):
                trees.remove(place.shown(key))
                trees.remove(run.dir)

    def rest(self, id: SandboxId, still: bool) -> None:
        """End everything in it until it is roused; its files stay."""
        with self._held(id) as (place, _):
            place.resting.touch() if still else place.resting.unlink(missing_ok=True)
        if still:
            self.stop(id)

    def rests(self, id: SandboxId) -> bool:
        return self._place(id).resting.exists()

    def take(self, id: SandboxId) -> Path:
        with self._held(id) as (place, record):
            self._idle(place, record)
            trees.open_up(place.workspace)
            return place.workspace

    def remove(self, id: SandboxId) -> None:
        place = self._place(id)
        if places.readable(place.record) is not None:
            self.stop(id)
        else:  # half made, or its record cannot be read: its name says where to look
            reaping.stop(place, Record(SandboxSpec(id, Limits()), None, self.isolation, self._groups(id)))
        gone = self.root / f".gone-{place.dir.name}-{os.getpid()}-{time.monotonic_ns()}"
        with locks.locked(self.root / ".lock"):
            if place.dir.exists():
                os.rename(place.dir, gone)
            trees.remove(_new(place).dir)
            limits.drop(self._groups(id))
        trees.remove(gone)

    def tell(self, id: SandboxId, key: str, entry: Entry) -> None:
        run = self.run(id, key)
        with locks.locked(run.telling), self._journal(run) as fd:
            journal.tell(fd, run, entry)

    def told(self, id: SandboxId, key: str) -> frozenset[str]:
        with self._journal(self.run(id, key)) as fd:
            return journal.told(fd)

    def hold(self, id: SandboxId, still: bool, key: str = "") -> None:
        """Let everything inside stand still, or one start, or go on; returns when it does."""
        with self._held(id) as (place, _):
            for run in place.runs() if not key else (place.run(key),):
                if reaping.held(run) and run.journal.exists():
                    standing.settle(run, still)

    def record(self, id: SandboxId) -> Record:
        record = places.load(self._place(id).record)
        if record is None:
            raise NotFound(f"There is no sandbox {id} here.", code="SANDBOX_NOT_FOUND")
        return record

    def run(self, id: SandboxId, key: str) -> Run:
        """The files of a start. Raises NotFound when there was none."""
        run = self._place(id).run(key)
        if not run.spool.exists():
            raise NotFound(f"Nothing was started in sandbox {id} under the key {key}.", code="RUN_NOT_FOUND")
        return run

    def list(self) -> list[Record]:
        return [record for _, record in reaping.known(self.root)]

    @contextmanager
    def _journal(self, run: Run) -> Iterator[int]:
        with Handed() as handed:
            try:
                fd = handed.open(run.journal, os.O_RDWR)
            except FileNotFoundError as error:
                raise NotFound("Nothing was started under this key yet.", code="RUN_NOT_FOUND") from error
            yield fd

    @contextmanager
    def _held(self, id: SandboxId) -> Iterator[tuple[Place, Record]]:
        self.record(id)
        place = self._place(id)
        with locks.locked(place.lock):
            yield place, self.record(id)

    def _place(self, id: SandboxId) -> Place:
        try:
            return places.place(self.root, id)
        except ValueError as error:
            raise Invalid(f"A sandbox id {error}.", code="BAD_SANDBOX_ID") from error

    def _idle(self, place: Place, record: Record, beside: Run | None = None) -> None:
        """Wait a moment for an ended run to be gone altogether. Raises Conflict when something runs, not counting `beside`, which waits."""
        end = time.monotonic() + 2.0
        works = [run for run in place.runs() if run != beside]
        while any(map(reaping.held, works)) or (beside is None and reaping.running(place, record)):
            if time.monotonic() > end or any(reaping.held(run) and not reaping.ended(run) for run in works):
                raise Conflict(f"Something runs in sandbox {place.dir.name}; stop it first.", code="SANDBOX_RUNNING")
            time.sleep(0.005)


def _new(place: Place) -> Place:
    """Where it is laid out before it is there."""
    return Place(place.dir.with_name(f".new-{place.dir.name}"))
