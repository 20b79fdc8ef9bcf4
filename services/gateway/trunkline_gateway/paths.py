"""Finds what a path leads to by a dictionary, whatever stands in those of its parts that have names."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from trunkline.contracts.errors import NotFound, Unsupported

T = TypeVar("T")

ANY: Final = "{"
"""Stands in a path for any part that has a name, and in no part that fits one."""
_NAMED: Final = re.compile(r"\{([A-Za-z_]\w*)(?::(.+))?\}")
_SLASH: Final = re.compile(r"/(?![^{]*\})")
"""One between two parts, and not in what one of them may be."""
_PLAIN: Final = re.compile(r"[^{}]+")
_NO_PARTS: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class _Way(Generic[T]):
    """All that is served on one path; `names` are those of its parts, each with what it may be."""

    names: Sequence[tuple[int, str, re.Pattern[str]]]
    leads: dict[str, T] = field(default_factory=dict)

    def parts(self, parts: Sequence[str]) -> dict[str, str] | None:
        """By name. An encoded slash is none before it is known where the parts are."""
        found = {}
        for place, name, form in self.names:
            part = parts[place]
            if not form.fullmatch(part):
                return None
            found[name] = part.replace("%2F", "/").replace("%25", "%") if "%" in part else part
        return found


class Paths(Generic[T]):
    """What is served, by method and path; paths as aiohttp declares them, a named part (`{id}` or `{id:[0-9]+}`) between two slashes."""

    def __init__(self) -> None:
        self._plain: defaultdict[str, dict[str, T]] = defaultdict(dict)
        self._ways: defaultdict[str, dict[str, _Way[T]]] = defaultdict(dict)
        self._places: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
        """By the number of parts, which of them may have names: those first of which more at the beginning have none."""

    def add(self, method: str, path: str, what: T) -> None:
        parts = _SLASH.split(path)
        names = tuple(_name(place, part) for place, part in enumerate(parts) if part.startswith(ANY))
        if not names:
            self._plain[path][method] = what
            return
        places = tuple(place for place, _, _ in names)
        self._ways[_struck(parts, places)].setdefault(path, _Way(names)).leads[method] = what
        if places not in self._places[len(parts)]:
            self._places[len(parts)] = sorted([*self._places[len(parts)], places], key=lambda each: -each[0])

    def find(self, method: str, path: str) -> tuple[T, Mapping[str, str]]:
        """What serves it, and its named parts; `path` decoded but for `%2F` and `%25`. Raises NotFound; Unsupported with what it takes."""
        leads = self._plain.get(path)
        if leads and method in leads:
            return leads[method], _NO_PARTS
        allowed, parts = set(leads or ()), path.split("/")
        for places in self._places.get(len(parts), ()):
            for way in self._ways.get(_struck(parts, places), {}).values():
                found = way.parts(parts)
                if found is not None and method in way.leads:
                    return way.leads[method], found
                allowed.update(way.leads if found is not None else ())
        if allowed:
            allow = ", ".join(sorted(allowed))
            raise Unsupported(f"this path takes {allow}", code="METHOD_NOT_ALLOWED", allow=allow)
        raise NotFound("nothing answers at this path")


def _name(place: int, part: str) -> tuple[int, str, re.Pattern[str]]:
    found = _NAMED.fullmatch(part)
    if found is None:
        raise RuntimeError(f"{part} is no part of a path")
    return place, found[1], re.compile(found[2]) if found[2] else _PLAIN


def _struck(parts: Sequence[str], places: Sequence[int]) -> str:
    struck = list(parts)
    for place in places:
        struck[place] = ANY
    return "/".join(struck)
