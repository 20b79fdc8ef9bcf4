"""Which headers pass the model door, and how the worthless token becomes the real key: pure."""

from __future__ import annotations

import hmac

from multidict import CIMultiDict, CIMultiDictProxy

_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
_NOT_FORWARDED = frozenset("host expect cookie content-length x-api-key authorization forwarded x-forwarded-for".split())
_NOT_RETURNED = frozenset("set-cookie content-length server date location alt-svc strict-transport-security".split())

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


def outward(headers: Headers, token: str, key: str) -> CIMultiDict[str] | None:
    """What is sent to the model API: the key stands where the token stood. None when the token is not there."""
    credential = _swapped(headers, token, key)
    if credential is None:
        return None
    passed = _without(headers, _NOT_FORWARDED)
    passed.add(*credential)
    return passed


def inward(headers: Headers) -> CIMultiDict[str]:
    """What is sent back to the agent."""
    return _without(headers, _NOT_RETURNED)


def _swapped(headers: Headers, token: str, key: str) -> tuple[str, str] | None:
    if _same(headers.get("x-api-key", ""), token):
        return "x-api-key", key
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and _same(given.strip(), token):
        return "authorization", f"Bearer {key}"
    return None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _without(headers: Headers, dropped: frozenset[str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for value in headers.getall("connection", []) for name in value.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped | _HOP_BY_HOP | named)
