"""The shapes of well-known secrets: what a key, a token or a password in an address looks like, wherever it turns up."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from trunkline.telemetry.encoded import Stubs, decoded, may_hold


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


def in_base64(data: bytes) -> Iterator[str]:
    """What of it is the same whatever stands before and behind, for each of the three places that it may begin at, in both alphabets."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(bytes(before) + data).decode()[first:last]


_EDGE: Final = r"(?<![A-Za-z0-9_-])"
_INSIDE: Final = r"(?<![A-Za-z0-9])"
"""For what cannot be anything else, though a name stands before it: `TOKEN_ghp_...`."""
_ADDRESS: Final = "://"
_JOB: Final = b"trunkline-job-"
_JOB_IN_BASE64: Final = tuple(dict.fromkeys(in_base64(_JOB)))
SHAPES: Final = (
    _shape(
        "private-key",
        "-----BEGIN",
        # Up to the next dashes and no further: what never ends must not be read again from each beginning.
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,8192}(?:-----END [A-Z0-9 ]+-----)?",
    ),
    _shape("github-token", "ghp_ gho_ ghu_ ghs_ ghr_", _INSIDE + r"gh[pousr]_[A-Za-z0-9]{36,251}"),
    _shape("github-token", "github_pat_", _INSIDE + r"github_pat_[A-Za-z0-9_]{22,243}"),
    _shape("gitlab-token", "glpat-", _INSIDE + r"glpat-[A-Za-z0-9_-]{20,64}"),
    _shape("anthropic-key", "sk-ant-", _INSIDE + r"sk-ant-[A-Za-z0-9_-]{20,200}"),
    _shape("model-key", "sk-", _EDGE + r"sk-(?:proj-|svcacct-|or-v1-)?(?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{32,200}"),
    _shape("aws-key-id", "AKIA ASIA", _EDGE + r"A[KS]IA[0-9A-Z]{16}(?![0-9A-Z])"),
    _shape("google-key", "AIza", _EDGE + r"AIza[0-9A-Za-z_-]{35}"),
    _shape("slack-token", "xoxa- xoxb- xoxp- xoxr- xoxs-", _INSIDE + r"xox[abprs]-[0-9A-Za-z-]{10,200}"),
    _shape("stripe-key", "_live_", _INSIDE + r"[rs]k_live_[0-9A-Za-z]{16,200}"),
    _shape("npm-token", "npm_", _INSIDE + r"npm_[A-Za-z0-9]{36}"),
    _shape("pypi-token", "pypi-", _INSIDE + r"pypi-[A-Za-z0-9_-]{60,250}"),
    _shape("hugging-face-token", "hf_", _EDGE + r"hf_[A-Za-z0-9]{30,60}"),
    _shape("instance-key", "omni_key_", _INSIDE + r"omni_key_[0-9a-f]{122}_[A-Za-z0-9_-]{1,64}"),
    _shape("job-token", "trunkline-job-", _INSIDE + r"trunkline-job-[0-9a-f]{40}"),
    _shape("job-token", " ".join(_JOB_IN_BASE64), rf"(?:{'|'.join(_JOB_IN_BASE64)})[A-Za-z0-9+/_-]{{50,60}}"),
    _shape("job-token", _JOB.hex(), _JOB.hex() + r"(?:3[0-9]|6[1-6]){40}"),
    _shape("git-credential", "eC1hY2Nlc3MtdG9rZW46", r"eC1hY2Nlc3MtdG9rZW46[A-Za-z0-9+/]{20,400}={0,2}"),
    _shape("web-token", "eyJ", _EDGE + r"eyJ[A-Za-z0-9_-]{10,4096}\.eyJ[A-Za-z0-9_-]{4,4096}\.[A-Za-z0-9_-]{16,1024}"),
    _shape(
        "password-in-address", _ADDRESS, r"(?<=://)[A-Za-z0-9._~%+-]{0,128}:(?!\*+@|x+@|\[redacted)[^\s/:@\"'<>]{4,256}(?=@[A-Za-z0-9.-])"
    ),
)
"""Only what is hardly ever anything else: what flags too much is soon read by nobody."""
CUT: Final = re.compile(
    _INSIDE + r"(?:gh[pousr]_|github_pat_|glpat-|sk-ant-|sk-proj-|A[KS]IA|AIza|xox[abprs]-|[rs]k_live_|npm_|hf_|trunkline-job-|eyJ)"
    r"[A-Za-z0-9_.-]{4,300}(?=…\Z)"
)
"""The beginning of one at the end of a text that was cut off there."""


_HINTS: Final = tuple(hint for shape in SHAPES for hint in shape.hints)
_GROUPS: Final = (
    ("-", tuple(hint for hint in _HINTS if "-" in hint)),
    ("_", tuple(hint for hint in _HINTS if "_" in hint and "-" not in hint)),
    ("@", tuple(hint for hint in _HINTS if hint == _ADDRESS)),
    ("", tuple(hint for hint in _HINTS if "_" not in hint and "-" not in hint and hint != _ADDRESS)),
)
"""The hints by a sign without which nothing of a group can be: text without it is not looked through for any of them."""
_STUBS: Final = Stubs(
    base64=tuple(dict.fromkeys(stub for hint in _HINTS for stub in in_base64(hint.encode()))),
    hex=tuple(hint.encode().hex() for hint in _HINTS),
)


def hinted(text: str) -> bool:
    """Whether there may be one: quick, and never wrong when it says no."""
    return _hinted(text) or (may_hold(text) and any(_hinted(inner.text) for inner in decoded(text, _STUBS)))


def find(text: str) -> Iterator[Found]:
    """Everything in `text` that has the shape of a secret, in base64 and hex too; where two fit, both are told."""
    yield from _plain(text)
    for inner in decoded(text, _STUBS):
        for found in _plain(inner.text):
            yield Found(found.kind, *inner.span(found.start, found.end))


def _hinted(text: str) -> bool:
    for sign, hints in _GROUPS:  # noqa: SIM110  # asked of all that anybody sends: a generator takes twice as long
        if sign in text and _holds(text, hints):
            return True
    return False


def _holds(text: str, hints: tuple[str, ...]) -> bool:
    for hint in hints:  # noqa: SIM110  # as above
        if hint in text:
            return True
    return False


def _plain(text: str) -> Iterator[Found]:
    for shape in SHAPES:
        if any(hint in text for hint in shape.hints):
            yield from (Found(shape.kind, *found.span()) for found in shape.pattern.finditer(text))
