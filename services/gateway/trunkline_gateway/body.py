"""Takes the body of a request off the wire: typed, bounded in size and time, and read as strict JSON."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientPayloadError, web
from aiohttp.hdrs import CONTENT_ENCODING, CONTENT_TYPE
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import JsonValue

from trunkline.contracts.errors import Invalid, Overdue, TooLarge, Unsupported
from trunkline_gateway import strict_json

BODY_TIMEOUT: Final = "BODY_TIMEOUT"
BROKEN_BODY: Final = "BROKEN_BODY"
UNSUPPORTED_MEDIA_TYPE: Final = "UNSUPPORTED_MEDIA_TYPE"
_RAW: Final = web.RequestKey("raw_body", bytes)


@dataclass(frozen=True, slots=True)
class BodyReader:
    """What is taken of one body. `size` in bytes, `seconds` for all of it."""

    size: int = 256 << 10
    depth: int = 32
    seconds: float = 10.0

    async def json(self, request: web.Request) -> dict[str, JsonValue]:
        """The object sent. Raises Invalid, TooLarge, Unsupported or Overdue."""
        _check_type(request)
        return strict_json.parse_object(await self._bytes(request), self.depth)

    async def any_json(self, request: web.Request) -> JsonValue:
        """As `json`, whatever value it is."""
        _check_type(request)
        return strict_json.parse(await self._bytes(request), self.depth)

    async def json_if_any(self, request: web.Request) -> dict[str, JsonValue]:
        """As `json`, and no body at all means an empty object."""
        if not request.body_exists:
            return {}
        _check_encoding(request)
        raw = await self._bytes(request)
        if not raw:
            return {}
        _check_type(request)
        return strict_json.parse_object(raw, self.depth)

    async def raw(self, request: web.Request) -> bytes:
        """The bytes sent, kept for whoever reads the request next. Raises Invalid, TooLarge or Overdue."""
        request[_RAW] = raw = await self._bytes(request) if request.body_exists else b""
        return raw

    async def _bytes(self, request: web.Request) -> bytes:
        if (request.content_length or 0) > self.size:
            raise self._too_large()
        if _RAW in iter(request):  # the request itself, asked for what it has not, raises an error and catches it
            return self._checked(request[_RAW])
        try:
            if request.content.is_eof():  # all of it came with the headers, as small bodies do: nothing to wait for
                return self._checked(request.content.read_nowait())
            async with asyncio.timeout(self.seconds):
                return await self._gathered(request)
        except TimeoutError:
            raise Overdue(f"the body did not arrive within {self.seconds:g} seconds", code=BODY_TIMEOUT) from None
        except (web.RequestPayloadError, ClientPayloadError, HttpProcessingError):
            raise Invalid("the body broke off, or its chunks are malformed", code=BROKEN_BODY) from None

    async def _gathered(self, request: web.Request) -> bytes:
        gathered = bytearray()
        async for chunk in request.content.iter_any():
            gathered += chunk
            if len(gathered) > self.size:
                raise self._too_large()
        return bytes(gathered)

    def _checked(self, known: bytes) -> bytes:
        if len(known) > self.size:
            raise self._too_large()
        return known

    def _too_large(self) -> TooLarge:
        return TooLarge(f"the body is larger than {self.size} bytes", code="PAYLOAD_TOO_LARGE", limit=self.size)


def _check_type(request: web.Request) -> None:
    _check_encoding(request)
    if request.headers.get(CONTENT_TYPE) == "application/json":  # as nearly everybody says it
        return
    if request.content_type != "application/json":
        raise Unsupported("send the body as Content-Type: application/json", code=UNSUPPORTED_MEDIA_TYPE)
    if (request.charset or "utf-8").lower() not in ("utf-8", "utf8"):
        raise Unsupported("send the body as UTF-8", code=UNSUPPORTED_MEDIA_TYPE)


def _check_encoding(request: web.Request) -> None:
    """A compressed body could unfold into any size, and no client of ours compresses."""
    encoding = request.headers.get(CONTENT_ENCODING)
    if encoding is not None and encoding.lower() != "identity":
        raise Unsupported("send the body uncompressed, without Content-Encoding", code=UNSUPPORTED_MEDIA_TYPE)
