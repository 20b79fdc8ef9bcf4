"""What of a Dockerfile can be done on this machine, without a container: the steps to take, or which line asks for more. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline_sandbox.model.dockerfile import Instruction, filled, instructions

BASES: Final = ("scratch", "local")
PLACES: Final = ("/workspace", "/home/agent")
"""All that belongs to a sandbox; the rest of what is seen inside is this machine's, and cannot be written."""
_PASSED_OVER: Final = ("CMD", "ENTRYPOINT", "EXPOSE", "LABEL", "MAINTAINER")
"""Of no account: a sandbox runs what it is told."""


@dataclass(frozen=True, slots=True)
class Note:
    """Nothing to do but to say so."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class RunStep:
    line: int
    text: str
    argv: tuple[str, ...]
    workdir: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CopyStep:
    """`sources`: patterns below the folder of the Dockerfile. `target`: a folder if it ends with `/`."""

    line: int
    text: str
    sources: tuple[str, ...]
    target: str


Step = Note | RunStep | CopyStep


@dataclass(frozen=True, slots=True)
class Steps:
    """In order; and the variables of every program that is started in the sandbox later."""

    steps: tuple[Step, ...]
    env: Mapping[str, str]


def steps(text: str, given: Mapping[str, str]) -> Steps:
    """`given`: variables that are there before. Raises Invalid DOCKERFILE_INVALID, Unsupported DOCKERFILE_UNSUPPORTED with the line."""
    reader = _Reader(dict(given))
    found = tuple(step for each in instructions(text) for step in reader.read(each))
    if not reader.begun:
        raise instructions(text)[0].wrong("a Dockerfile begins with FROM")
    return Steps(found, reader.env)


@dataclass(slots=True)
class _Reader:
    given: dict[str, str]
    env: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    early: dict[str, str] = field(default_factory=dict)
    """Arguments before FROM, which count only where they are named again."""
    workdir: str = "/workspace"
    begun: bool = False

    def read(self, each: Instruction) -> tuple[Step, ...]:
        note = Note(each.line, each.text)
        if not self.begun and each.word not in ("ARG", "FROM"):
            raise each.wrong("only ARG may stand before FROM")
        match each.word:
            case "FROM":
                self._from(each)
            case "ARG":
                self._arg(each)
            case "ENV":
                known = self._known()
                self.env.update({name: filled(value, known) for name, value in each.pairs()})
            case "WORKDIR":
                self.workdir = self._below(each, self._filled(each.rest.strip("\"'")))
            case "USER":
                if self._filled(each.rest) not in ("agent", "1000", "agent:agent", "1000:1000"):
                    raise each.cannot("everything in a local sandbox is done by the user agent (1000)")
            case "RUN":
                return (self._run(each),)
            case "COPY":
                return (self._copy(each),)
            case _:
                return (self._other(each),)
        return (note,)

    def _known(self) -> dict[str, str]:
        return {**self.given, **self.args, **self.env}

    def _filled(self, text: str) -> str:
        return filled(text, self._known())

    def _from(self, each: Instruction) -> None:
        if self.begun:
            raise each.cannot("a local snapshot has one stage")
        flags, rest = each.flagged()
        base = filled(rest.split(" ")[0], self.early)
        if flags or base not in BASES:
            told = "others' images want a container; the base of a local sandbox is the system of this machine, read-only"
            raise each.cannot(f"{told}: write FROM scratch, or choose another provider")
        self.begun = True

    def _arg(self, each: Instruction) -> None:
        if "=" in each.rest:
            known = self._known() if self.begun else self.early
            told = {name: filled(value, known) for name, value in each.pairs()}
        else:
            told = {name: self.early[name] for name in each.rest.split() if name in self.early}
        (self.args if self.begun else self.early).update(told)

    def _run(self, each: Instruction) -> RunStep:
        flags, rest = each.flagged()
        if flags:
            raise each.cannot(f"{flags[0].split('=')[0]} is not known here")
        argv = each.listed(rest) or ("/bin/sh", "-c", rest)
        if not rest:
            raise each.wrong("there is nothing to run")
        return RunStep(each.line, each.text, argv, self.workdir, {**self.args, **self.env})

    def _copy(self, each: Instruction) -> CopyStep:
        flags, rest = each.flagged()
        if odd := [flag for flag in flags if not flag.startswith(("--chown=", "--link"))]:
            raise each.cannot(f"{odd[0].split('=')[0]} is not known here")
        words = [self._filled(word) for word in each.listed(rest) or each.words(rest)]
        if len(words) < 2:
            raise each.wrong("it names what is copied, and where to")
        *sources, target = words
        if out := [source for source in sources if ".." in source.split("/")]:
            raise each.wrong(f"{out[0]} leads out of the folder of the Dockerfile")
        place = self._below(each, target)
        folder = target.endswith(("/", "/.")) or target == "." or place in PLACES or len(sources) > 1
        return CopyStep(each.line, each.text, tuple(source.lstrip("/") or "." for source in sources), f"{place}/" if folder else place)

    def _below(self, each: Instruction, path: str) -> str:
        whole = posixpath.normpath(posixpath.join(self.workdir, path))
        if not path or not any(whole == place or whole.startswith(f"{place}/") for place in PLACES):
            raise each.cannot(f"in a local sandbox only {' and '.join(PLACES)} can be written")
        return whole

    def _other(self, each: Instruction) -> Note:
        if each.word in _PASSED_OVER:
            return Note(each.line, f"{each.text[:200]} (passed over: a sandbox runs what it is told)")
        if each.word == "ADD":
            raise each.cannot("nothing is fetched or unpacked here; use COPY, or RUN with a program that fetches")
        if each.word in ("SHELL", "VOLUME", "HEALTHCHECK", "ONBUILD", "STOPSIGNAL"):
            raise each.cannot("a local sandbox has no such thing")
        raise each.wrong("there is no such instruction")
