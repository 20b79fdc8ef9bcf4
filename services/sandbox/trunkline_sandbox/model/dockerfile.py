"""A Dockerfile read into its instructions, each with the line that it begins at. Pure."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from trunkline.contracts.errors import Invalid, Unsupported

LONGEST: Final = 64 << 10
"""Bytes."""
_MORE: Final = re.compile(r"\\[ \t]*$")
_DIRECTIVE: Final = re.compile(r"^#[ \t]*escape[ \t]*=", re.IGNORECASE)
_HERE: Final = re.compile(r"<<-?[\"']?[A-Za-z_]")
_VARIABLE: Final = re.compile(r"\\\$|\$(?:\{(\w+)(?::([-+])([^}]*))?\}|(\w+))")
_NAME: Final = re.compile(r"[A-Za-z_]\w*\Z")


@dataclass(frozen=True, slots=True)
class Instruction:
    line: int
    word: str
    """In capitals."""
    rest: str

    @property
    def text(self) -> str:
        return f"{self.word} {self.rest}".strip()

    def cannot(self, why: str) -> Unsupported:
        """What to raise for what is right in a Dockerfile, and not possible where it is to be built."""
        return Unsupported(f"line {self.line}: {self.text[:200]}: {why}", code="DOCKERFILE_UNSUPPORTED", line=self.line)

    def wrong(self, why: str) -> Invalid:
        return Invalid(f"line {self.line}: {self.text[:200]}: {why}", code="DOCKERFILE_INVALID", line=self.line)

    def flagged(self) -> tuple[tuple[str, ...], str]:
        """Its `--flags`, and what follows them."""
        flags: list[str] = []
        rest = self.rest
        while rest.startswith("--"):
            flag, _, rest = rest.partition(" ")
            flags.append(flag)
            rest = rest.lstrip()
        return tuple(flags), rest

    def listed(self, text: str) -> tuple[str, ...] | None:
        """The words of the form in brackets; None for the other form. Raises Invalid."""
        if not text.startswith("["):
            return None
        try:
            words = json.loads(text)
        except ValueError:
            return None
        if not isinstance(words, list) or not words or not all(isinstance(word, str) for word in words):
            raise self.wrong("a list in brackets holds texts only")
        return tuple(words)

    def words(self, text: str) -> tuple[str, ...]:
        """Raises Invalid."""
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise self.wrong(str(error)) from None

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Of `NAME=value ...`, or of the older `NAME value`. Raises Invalid."""
        first, _, rest = self.rest.partition(" ")
        if "=" not in first:
            found: tuple[tuple[str, str], ...] = ((first, rest.strip()),)
        else:
            words = self.words(self.rest)
            if lonely := [word for word in words if "=" not in word]:
                raise self.wrong(f"{lonely[0]!r} has no value")
            found = tuple((name, value) for name, _, value in (word.partition("=") for word in words))
        if bad := [name for name, _ in found if not _NAME.match(name)]:
            raise self.wrong(f"{bad[0]!r} is no name of a variable")
        return found


def instructions(text: str) -> tuple[Instruction, ...]:
    """Raises Invalid, Unsupported."""
    if len(text.encode()) > LONGEST or "\0" in text:
        raise Invalid(f"a Dockerfile is text of at most {LONGEST >> 10} KiB", code="DOCKERFILE_INVALID")
    found = tuple(_instruction(line, whole) for line, whole in _joined(text))
    if not found:
        raise Invalid("the Dockerfile is empty", code="DOCKERFILE_INVALID")
    return found


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Each instruction in one piece, without comments, by the number of its first line."""
    begun, parts = 0, list[str]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("#"):
            if _DIRECTIVE.match(line) and not parts:
                raise Unsupported(f"line {number}: another escape character is not read here", code="DOCKERFILE_UNSUPPORTED", line=number)
            continue
        if not line:
            continue
        begun = begun or number
        more = _MORE.search(line)
        parts.append(line[: more.start()].rstrip() if more else line)
        if not more:
            yield begun, " ".join(parts)
            begun, parts = 0, []
    if parts:
        yield begun, " ".join(parts)


def _instruction(line: int, whole: str) -> Instruction:
    word, _, rest = whole.replace("\t", " ").partition(" ")
    made = Instruction(line, word.upper(), rest.strip())
    if made.word in ("RUN", "COPY", "ADD") and _HERE.search(made.rest):
        raise made.cannot("text that follows in lines of its own (<<) is not read here; put it into a file and COPY it")
    return made


def filled(text: str, known: Mapping[str, str]) -> str:
    """With the values of its variables; one that is not known is empty, `\\$` is a dollar."""

    def value(found: re.Match[str]) -> str:
        if found[0] == "\\$":
            return "$"
        name = found[1] or found[4]
        there = known.get(name, "")
        if found[2] == "-":
            return there or found[3]
        if found[2] == "+":
            return found[3] if there else ""
        return there

    return _VARIABLE.sub(value, text)
