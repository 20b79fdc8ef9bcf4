"""The shapes of well-known secrets: what a key, a token or a password in an address looks like, wherever it turns up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Shape(NamedTuple):
    """One kind. `hints` are pieces without which the pattern cannot fit: looking for them costs next to nothing."""

    kind: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]


class Found(NamedTuple):
    """Where something of a kind stands in a text."""

    kind: str
    start: int
    end: int


def _shape(kind: str, hints: str, pattern: str) -> Shape:
    return Shape(kind, tuple(hints.split()), re.compile(pattern))


_EDGE: Final = r"(?<![A-Za-z0-9_-])"
SHAPES: Final = (
    _shape(
        "private-key",
        "-----BEGIN",
        # Up to the next dashes and no further: what never ends must not be read again from each beginning.
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,8192}(?:-----END [A-Z0-9 ]+-----)?",
    ),
    _shape("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", _EDGE + r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    _shape("github-token", "github_pat_", _EDGE + r"github_pat_[A-Za-z0-9_]{22,243}"),
    _shape("gitlab-token", "glpat-", _EDGE + r"glpat-[A-Za-z0-9_-]{20,64}"),
    _shape("anthropic-key", "sk-ant-", _EDGE + r"sk-ant-[A-Za-z0-9_-]{20,200}"),
    _shape("model-key", "sk-", _EDGE + r"sk-(?:proj-|svcacct-|or-v1-)?(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{32,200}"),
    _shape("aws-key-id", "AKIA ASIA", _EDGE + r"A[KS]IA[0-9A-Z]{16}(?![0-9A-Z])"),
    _shape("google-key", "AIza", _EDGE + r"AIza[0-9A-Za-z_-]{35}"),
    _shape("slack-token", "xoxa- xoxb- xoxp- xoxr- xoxs-", _EDGE + r"xox[abprs]-[0-9A-Za-z-]{10,200}"),
    _shape("stripe-key", "_live_", _EDGE + r"[rs]k_live_[0-9A-Za-z]{16,200}"),
    _shape("npm-token", "npm_", _EDGE + r"npm_[A-Za-z0-9]{36}"),
    _shape("pypi-token", "pypi-", _EDGE + r"pypi-[A-Za-z0-9_-]{60,250}"),
    _shape("hugging-face-token", "hf_", _EDGE + r"hf_[A-Za-z0-9]{30,60}"),
    _shape("job-token", "trunkline-job-", _EDGE + r"trunkline-job-[0-9a-f]{40}"),
    _shape("web-token", "eyJ", _EDGE + r"eyJ[A-Za-z0-9_-]{10,4096}\.eyJ[A-Za-z0-9_-]{4,4096}\.[A-Za-z0-9_-]{16,1024}"),
    _shape("password-in-address", "://", r"(?<=://)[A-Za-z0-9._~%+-]{0,128}:(?!\*+@|x+@|\[redacted)[^\s/:@\"'<>]{4,256}(?=@[A-Za-z0-9.-])"),
)
"""Only what is hardly ever anything else: what flags too much is soon read by nobody."""


_HINTS: Final = tuple(hint for shape in SHAPES for hint in shape.hints)


def hinted(text: str) -> bool:
    """Whether there may be one: quick, and never wrong when it says no."""
    return any(hint in text for hint in _HINTS)


def find(text: str) -> Iterator[Found]:
    """Everything in `text` that has the shape of a secret; where two fit, both are told."""
    for shape in SHAPES:
        if any(hint in text for hint in shape.hints):
            yield from (Found(shape.kind, *found.span()) for found in shape.pattern.finditer(text))
