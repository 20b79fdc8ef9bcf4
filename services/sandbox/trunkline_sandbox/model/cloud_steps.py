"""What of a Dockerfile the builder of a cloud is given to do: what it copies from beside it, or which line asks for more. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline_sandbox.model.dockerfile import Instruction, instructions
from trunkline_sandbox.model.local_steps import CopyStep

_KNOWN: Final = frozenset(
    "FROM RUN COPY ADD ENV ARG WORKDIR USER CMD ENTRYPOINT EXPOSE LABEL MAINTAINER VOLUME SHELL HEALTHCHECK STOPSIGNAL ONBUILD".split()
)


@dataclass(frozen=True, slots=True)
class Builder:
    """Whose it is, and what its SDK drops without a word, or cannot."""

    name: str
    stages: bool
    """Several FROM, and COPY from one of them."""
    refused: frozenset[str] = frozenset()
    """Instructions."""
    passed_over: frozenset[str] = frozenset()
    """Flags, which would be as if they were not there."""


def copies(text: str, builder: Builder) -> tuple[CopyStep, ...]:
    """What lies beside the Dockerfile and is to be carried there. Raises Invalid DOCKERFILE_INVALID, Unsupported DOCKERFILE_UNSUPPORTED."""
    found, base = list[CopyStep](), None
    for each in instructions(text):
        _check(each, base, builder)
        base = each if each.word == "FROM" else base
        if each.word == "COPY" and (step := _copy(each, builder)):
            found.append(step)
    if base is None:
        raise instructions(text)[0].wrong("a Dockerfile begins with FROM")
    if base.flagged()[1].split()[:1] == ["scratch"]:
        raise base.cannot("nothing would run in it; end with an image that has python3 and a shell")
    return tuple(found)


def _check(each: Instruction, base: Instruction | None, builder: Builder) -> None:
    if each.word not in _KNOWN:
        raise each.wrong("there is no such instruction")
    if base is None and each.word not in ("ARG", "FROM"):
        raise each.wrong("only ARG may stand before FROM")
    if not each.rest:
        raise each.wrong("it says nothing more")
    if each.word in builder.refused:
        raise each.cannot(f"{builder.name} does not do it")
    flags, rest = each.flagged()
    if dropped := [flag for flag in flags if flag.removeprefix("--").partition("=")[0] in builder.passed_over]:
        raise each.cannot(f"{builder.name} would pass over {dropped[0]}")
    if each.word == "FROM" and base is not None and not builder.stages:
        raise each.cannot(f"{builder.name} builds one stage")
    if each.word == "ADD" and not all("://" in source for source in _words(each, rest)[:-1]):
        raise each.cannot("what lies beside the Dockerfile is carried there for COPY alone")


def _copy(each: Instruction, builder: Builder) -> CopyStep | None:
    """None for what comes from another stage."""
    flags, rest = each.flagged()
    if any(flag.startswith("--from=") for flag in flags):
        if not builder.stages:
            raise each.cannot(f"{builder.name} builds one stage")
        return None
    words = _words(each, rest)
    if len(words) < 2:
        raise each.wrong("it names what is copied, and where to")
    sources = words[:-1]
    if any("$" in source for source in sources):
        raise each.cannot("a variable in the name of what is copied is not filled in here")
    if any(source.startswith("/") for source in sources):
        raise each.cannot("what is copied is named from the folder of the Dockerfile on, without a / before it")
    if any(part == ".." for source in sources for part in source.split("/")):
        raise each.wrong("it leads out of the folder of the Dockerfile")
    return CopyStep(each.line, each.text, sources, words[-1])


def _words(each: Instruction, rest: str) -> tuple[str, ...]:
    return each.listed(rest) or each.words(rest)
