"""Before an agent is started: whether there is a key for its model, and whether the model answers."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp

from trunkline.contracts.errors import Denied, Unavailable
from trunkline_sandbox.adapters.model.headers import API_KEY, AUTHORIZATION
from trunkline_sandbox.adapters.model.shapes import Shape, Upstream, Upstreams

WITHIN_S: Final = 10.0
_REFUSED: Final = (401, 403)
_VERSION: Final = "2023-06-01"


async def reach(upstreams: Upstreams, session: aiohttp.ClientSession) -> None:
    """Asks each model API that has a key for its list of models: whatever it says, it is there.

    Raises Invalid MODEL_NOT_CONFIGURED without a key, Denied MODEL_KEY_REFUSED, Unavailable MODEL_UNREACHABLE.
    """
    upstreams.check()
    for shape in Shape:
        if upstream := upstreams.of(shape):
            await _reach(shape, upstream, session)


async def _reach(shape: Shape, upstream: Upstream, session: aiohttp.ClientSession) -> None:
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            session.get(upstream.target("/v1/models", "limit=1"), headers=_headers(shape, upstream), allow_redirects=False) as answer,
        ):
            status = answer.status
    except (TimeoutError, OSError, aiohttp.ClientError) as error:
        told = (
            f"the model API of {shape.named} cannot be reached ({type(error).__name__}); look at {shape.variable}_BASE_URL and the network"
        )
        raise Unavailable(told, code="MODEL_UNREACHABLE") from error
    if status in _REFUSED:
        told = f"the model API refused the credential ({status}); set {shape.variable}_API_KEY to a key that is valid there"
        raise Denied(told, code="MODEL_KEY_REFUSED")
    if status >= 500:
        raise Unavailable(f"the model API of {shape.named} answers {status}; it may be better in a moment", code="MODEL_UNREACHABLE")


def _headers(shape: Shape, upstream: Upstream) -> dict[str, str]:
    if shape is Shape.ANTHROPIC:
        return {API_KEY: upstream.api_key, "anthropic-version": _VERSION}
    return {AUTHORIZATION: f"Bearer {upstream.api_key}"}
