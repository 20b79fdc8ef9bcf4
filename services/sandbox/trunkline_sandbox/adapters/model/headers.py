"""Which headers pass the model door, and how the worthless token becomes the real key: pure."""

from __future__ import annotations

import hmac

from multidict import CIMultiDict, CIMultiDictProxy

API_KEY = "x-api-key"
AUTHORIZATION = "authorization"
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding upgrade".split()
)
_CREDENTIALS = "x-api-key api-key authorization openai-organization openai-project"
"""Whose account pays is not the agent's to choose."""
_NOT_FORWARDED = frozenset(f"host expect cookie content-length forwarded x-forwarded-for accept-encoding {_CREDENTIALS}".split())
_NOT_RETURNED = frozenset("set-cookie content-length server date location alt-svc strict-transport-security".split())

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


def outward(headers: Headers, place: str, key: str) -> CIMultiDict[str]:
    """What is sent to the model API: the key stands in its place, as `token_in` named it."""
    passed = _without(headers, _NOT_FORWARDED)
    passed[place] = f"Bearer {key}" if place == AUTHORIZATION else key
    # So that the bytes can be read while they pass.
    passed["accept-encoding"] = "identity"
    return passed


def inward(headers: Headers) -> CIMultiDict[str]:
    """What is sent back to the agent."""
    return _without(headers, _NOT_RETURNED)


def token_in(headers: Headers, token: str) -> str | None:
    """The header in which the token stands, None when it is nowhere."""
    if _same(headers.get(API_KEY, ""), token):
        return API_KEY
    scheme, _, given = headers.get(AUTHORIZATION, "").partition(" ")
    return AUTHORIZATION if scheme.lower() == "bearer" and _same(given.strip(), token) else None


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


def _without(headers: Headers, dropped: frozenset[str]) -> CIMultiDict[str]:
    named = {name.strip().lower() for value in headers.getall("connection", []) for name in value.split(",")}
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped | _HOP_BY_HOP | named)
