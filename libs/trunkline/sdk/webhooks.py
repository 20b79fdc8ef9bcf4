"""Verifies what a webhook was sent, by the rules of Standard Webhooks, and reads it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

PREFIX: Final = "whsec_"
TOLERANCE: Final = 300.0
"""Seconds by which the sender's clock and ours may differ, and for which a delivery that somebody caught can be told again."""
VERIFY: Final = "webhook.verify"


class Headers(Protocol):
    """Those of a request: a mapping, or what http.server, Flask, Django, Starlette and aiohttp have."""

    def items(self) -> Iterable[tuple[str, str]]: ...


class WebhookError(ValueError):
    """This was not sent by whoever knows the secret, or not now: answer 400 and do nothing."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """A delivery. `id` is the same for every try of it: whoever saw it already answers 200 and does nothing."""

    id: str
    type: str
    timestamp: datetime
    data: Mapping[str, object] = field(repr=False)

    @property
    def challenge(self) -> str | None:
        """What a new webhook is asked to say back; None for every other delivery."""
        said = self.data.get("challenge")
        return said if self.type == VERIFY and isinstance(said, str) else None

    @property
    def answer(self) -> bytes:
        """A body for the answer, as application/json, with status 200: it says the challenge back where there is one."""
        return json.dumps({"challenge": self.challenge} if self.challenge else {"received": True}).encode()


def verify(
    body: bytes | str,
    headers: Headers,
    secrets: str | Sequence[str],
    tolerance_s: float = TOLERANCE,
    now: float | None = None,
) -> WebhookEvent:
    """The event that a body says, when it was signed with one of the secrets within the tolerance.

    `body` exactly as it came, before anybody read it as JSON; names of headers in any case; while a secret is changed, both. Raises
    WebhookError, which never says what was expected.
    """
    raw = body.encode() if isinstance(body, str) else body
    known = {name.lower(): value for name, value in headers.items()}
    id, stamp, signatures = (known.get(name, "") for name in ("webhook-id", "webhook-timestamp", "webhook-signature"))
    if not (id and stamp and signatures):
        raise WebhookError("the headers webhook-id, webhook-timestamp and webhook-signature must all be there")
    _check_time(stamp, time.time() if now is None else now, tolerance_s)
    told = f"{id}.{stamp}.".encode() + raw
    expected = [hmac.new(key, told, hashlib.sha256).digest() for key in _keys(secrets)]
    # Every pair is compared, so that the time it takes tells nothing.
    if not sum([hmac.compare_digest(one, other) for one in _signed(signatures) for other in expected]):
        raise WebhookError("the signature is of none of the secrets, or the body is not exactly what came")
    return _read(id, raw)


def sign(body: bytes, id: str, timestamp: int, secret: str) -> str:
    """The header webhook-signature for a body, for tests of one's own."""
    digest = hmac.new(key_of(secret), f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: `whsec_` and Base64, or a plain text. Raises ValueError."""
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError("what follows whsec_ must be Base64") from None


def _keys(secrets: str | Sequence[str]) -> list[bytes]:
    keys = [key_of(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets or ())]
    if not keys or not all(keys):
        raise ValueError("a secret is needed, and none may be empty")
    return keys


def _check_time(stamp: str, now: float, tolerance: float) -> None:
    if not (stamp.isascii() and stamp.isdecimal() and len(stamp) < 16):
        raise WebhookError("webhook-timestamp must be seconds since 1970")
    if abs(now - int(stamp)) > tolerance:
        raise WebhookError("the delivery is too old, or from the future: is the clock right?")


def _signed(signatures: str) -> Iterator[bytes]:
    """Those of the version that is understood; there may be several, between spaces."""
    for one in signatures.split()[:16]:
        version, _, text = one.partition(",")
        try:
            yield base64.b64decode(text, validate=True) if version == "v1" else b""
        except (binascii.Error, ValueError):
            continue


def _read(id: str, raw: bytes) -> WebhookEvent:
    try:
        told = json.loads(raw)
        moment = datetime.fromisoformat(str(told["timestamp"]))
        type, data = str(told["type"]), told["data"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise WebhookError("the body is no event of a webhook") from None
    return WebhookEvent(id, type, moment, data if isinstance(data, dict) else {})
