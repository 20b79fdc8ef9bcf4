"""What a COPY names, gathered from the folder of the Dockerfile into a tree that a sandbox is shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.providers.local import trees
from trunkline_sandbox.model.local_steps import CopyStep


@dataclass(frozen=True, slots=True)
class Ignored:
    """The patterns of a `.dockerignore`; the last that fits counts, and `!` lets in again."""

    patterns: tuple[str, ...] = ()

    @classmethod
    def of(cls, context: Path) -> Ignored:
        file = context / ".dockerignore"
        lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
        return cls(tuple(line.strip() for line in lines if line.strip() and not line.startswith("#")))

    def fits(self, path: str) -> bool:
        """`path` from the folder of the Dockerfile on."""
        out = False
        for pattern in self.patterns:
            bare = pattern.removeprefix("!").strip("/")
            if any(_fits(part, bare) for part in _upwards(path)):
                out = not pattern.startswith("!")
        return out

    def prunes(self, folder: str) -> bool:
        """Whether nothing below the folder is let in again."""
        again = [pattern[1:].strip("/") for pattern in self.patterns if pattern.startswith("!")]
        return self.fits(folder) and not any(pattern.startswith((f"{folder}/", "*")) for pattern in again)


def _fits(path: str, pattern: str) -> bool:
    return fnmatchcase(path, pattern) or (pattern.startswith("**/") and fnmatchcase(path, pattern[3:]))


def _upwards(path: str) -> Iterable[str]:
    """The path, and every folder above it."""
    parts = path.split("/")
    return ("/".join(parts[:end]) for end in range(1, len(parts) + 1))


def gather(context: Path, step: CopyStep, into: Path) -> str:
    """Copy its sources into the new tree `into`; the folder inside that the tree belongs into. Raises Invalid with the line."""
    trees.remove(into)
    into.mkdir(parents=True, mode=0o755)
    ignored, found = Ignored.of(context), sources(context, step)
    alone = len(found) == 1 and not found[0].is_dir() and not step.target.endswith("/")
    try:
        for source in found:
            name = os.path.basename(step.target) if alone else source.name
            take(context, source, into if source.is_dir() else into / name, ignored)
    except OSError as error:
        raise failed(step, f"it cannot be copied: {error.strerror or 'some of it cannot be read'}") from error
    return os.path.dirname(step.target) if alone else step.target.rstrip("/")


def sources(context: Path, step: CopyStep) -> list[Path]:
    """What a COPY names and is there. Raises Invalid with the line."""
    top = context.resolve()
    found: list[Path] = []
    for pattern in step.sources:
        fitting = sorted(context.glob(pattern)) if any(letter in pattern for letter in "*?[") else [context / pattern]
        there = [path for path in fitting if os.path.lexists(path)]
        if not there:
            raise failed(step, f"there is no {pattern} beside the Dockerfile")
        if out := [path for path in there if not path.resolve().is_relative_to(top)]:
            raise failed(step, f"{out[0].name} leads out of the folder of the Dockerfile")
        found += there
    return found


def take(context: Path, source: Path, target: Path, ignored: Ignored) -> None:
    """A file or a folder to the place `target`, without what is ignored. Raises OSError."""
    if not source.is_dir():
        if not ignored.fits(source.relative_to(context).as_posix()):
            shutil.copy2(source, target)
        return
    shutil.copytree(source, target, symlinks=True, ignore=_leaving_out(context, ignored), dirs_exist_ok=True)


def _leaving_out(context: Path, ignored: Ignored) -> Callable[[str, list[str]], list[str]]:
    def left_out(folder: str, names: list[str]) -> list[str]:
        found = {name: (Path(folder) / name) for name in names}
        paths = {name: path.relative_to(context).as_posix() for name, path in found.items()}
        return [name for name in names if (ignored.prunes if found[name].is_dir() else ignored.fits)(paths[name])]

    return left_out


def failed(step: CopyStep, why: str) -> Invalid:
    """What to raise for a COPY that cannot be done."""
    return Invalid(f"line {step.line}: {step.text[:200]}: {why}", code="DOCKERFILE_STEP_FAILED", line=step.line)
