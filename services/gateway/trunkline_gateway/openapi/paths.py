"""Reads a route's path as aiohttp writes it: `{name}` and `{name:pattern}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from trunkline_gateway.dialect import Dialect, Route

_PART: Final = re.compile(r"\{([_a-zA-Z][_a-zA-Z0-9]*)(?::((?:[^{}]|\{[^{}]*\})+))?\}")


def plain(path: str) -> str:
    """`/jobs/{job:[0-9]{1,3}}` as `/jobs/{job}`."""
    return _PART.sub(r"{\1}", path)


def patterns(path: str) -> Mapping[str, str]:
    """What each part must match, anchored; empty for a part that takes anything but a slash."""
    return {name: f"^(?:{pattern})$" if pattern else "" for name, pattern in _PART.findall(path)}


def name(dialect: Dialect, route: Route) -> str:
    """One name in the whole document: the dialect, the method, and the path below what the dialect claims."""
    path = plain(route.path)
    if len(dialect.claims) == 1:
        path = path.removeprefix(dialect.claims[0])
    words = re.findall(r"[A-Za-z0-9]+", path)
    return "_".join((dialect.name, route.method.lower(), *words))
