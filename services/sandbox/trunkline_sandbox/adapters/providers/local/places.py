"""Where everything of one sandbox lies on disk."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import structlog

from trunkline.contracts.errors import Broken
from trunkline.contracts.ids import SandboxId, token
from trunkline_sandbox.ports import Limits, SandboxSpec

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Run:
    """The files of one start; only our side sees them, the runner inherits what it needs as open files."""

    dir: Path

    @property
    def spool(self) -> Path:
        return self.dir / "spool"

    @property
    def journal(self) -> Path:
        """What the program is told."""
        return self.dir / "journal"

    @property
    def telling(self) -> Path:
        """The lock of whoever tells something."""
        return self.dir / "telling"

    @property
    def bell(self) -> Path:
        """Wakes the runner, as long as there is one."""
        return self.dir / "bell"

    @property
    def info(self) -> Path:
        """What bubblewrap says of itself: the first process of the namespace."""
        return self.dir / "info.json"

    @property
    def process(self) -> Path:
        return self.dir / "process.json"

    @property
    def stopping(self) -> Path:
        """Holds the cause, from before the first kill on; whoever records the end reads it."""
        return self.dir / "stopping"

    @property
    def waiting(self) -> Path:
        """There while a start that was made ahead waits for its word, or did when its maker died."""
        return self.dir / "waiting"

    @property
    def log(self) -> Path:
        return self.dir / "log"


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of one sandbox. `box` belongs to the sandbox's user, the rest to us."""

    dir: Path

    @property
    def record(self) -> Path:
        return self.dir / "sandbox.json"

    @property
    def lock(self) -> Path:
        return self.dir / "lock"

    @property
    def resting(self) -> Path:
        """There while a named sandbox is stopped."""
        return self.dir / "resting"

    @property
    def workspace(self) -> Path:
        return self.dir / "box" / "workspace"

    @property
    def home(self) -> Path:
        return self.dir / "box" / "home"

    @property
    def egress(self) -> Path:
        return self.dir / "egress"

    def shown(self, key: str) -> Path:
        """Files that are bound read-only at /run/trunkline."""
        return self.dir / "shown" / _name(key)

    def run(self, key: str) -> Run:
        return Run(self.dir / "runs" / _name(key))

    def runs(self) -> Iterator[Run]:
        folder = self.dir / "runs"
        if folder.is_dir():
            yield from (Run(entry) for entry in sorted(folder.iterdir()))


@dataclass(frozen=True, slots=True)
class Record:
    """What is kept of a sandbox: its spec and what was chosen for it."""

    spec: SandboxSpec
    uid: int | None
    isolation: str
    cage: tuple[str, ...] = ()
    """Control group directories."""
    seats: tuple[int, ...] = ()
    """The processors to keep to; none where a control group divides their time."""
    site: str = ""
    """What the root was called when it was made; empty in records of before there were sites."""


def place(root: Path, id: SandboxId) -> Place:
    """The place of `id`; raises ValueError when it is no token, so that no id leaves the root."""
    return Place(root / token(id))


def places(root: Path) -> Iterator[Place]:
    """Every sandbox below `root`; half-made and half-removed ones begin with a dot and are not among them."""
    if not root.is_dir():
        return
    for entry in sorted(root.iterdir()):
        if not entry.name.startswith(".") and (entry / "sandbox.json").exists():
            yield Place(entry)


def save(path: Path, record: Record) -> None:
    write_durably(path, json.dumps(asdict(record)).encode())


def load(path: Path) -> Record | None:
    """The record at `path`, or None when there is none. Raises Broken when it cannot be read."""
    try:
        return _record(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        said = f"{type(error).__name__}: {error}"
        raise Broken(f"The record {path} cannot be read ({said}); mend it, or delete the sandbox.", code="SANDBOX_ERROR") from error


def readable(path: Path) -> Record | None:
    """The record at `path`, for whoever looks at many: one that cannot be read must not keep the others."""
    try:
        return load(path)
    except Broken as error:
        log.warning("sandbox.record_unreadable", sandbox=path.parent.name, error=error.message)
        return None


def _record(data: Mapping[str, Any]) -> Record:
    return Record(
        _spec(data["spec"]), data["uid"], data["isolation"], tuple(data["cage"]), tuple(data.get("seats", ())), data.get("site", "")
    )


def _spec(data: Mapping[str, object]) -> SandboxSpec:
    limits, labels, egress = data["limits"], data["labels"], data["egress"]
    assert isinstance(limits, dict) and isinstance(labels, dict) and isinstance(egress, list)
    return SandboxSpec(SandboxId(str(data["id"])), Limits(**limits), labels, tuple(egress))


def write_durably(path: Path, data: bytes) -> None:
    """Write whole or not at all, and on the disk when this returns."""
    _write(path, data, durably=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write whole or not at all; for what means nothing any more when the machine was started anew."""
    _write(path, data, durably=False)


def _write(path: Path, data: bytes, *, durably: bool) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
        if durably:
            os.fsync(file.fileno())
    os.replace(new, path)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:24]
