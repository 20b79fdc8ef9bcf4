"""Decides to whom a request may be addressed and from which page it may come, so that no web page can use a browser as its way in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from aiohttp import hdrs, web

from trunkline.contracts.errors import Denied
from trunkline_gateway.adapters import wire
from trunkline_gateway.adapters.cors import Cors
from trunkline_gateway.settings import Settings

_AUTHORITY: Final = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[^\s:/?#@\[\]]+?)\.?)(?::(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_PORTS: Final = {"http": 80, "https": 443}
REMEMBERED: Final = 256
_READING: Final = frozenset({"GET", "HEAD"})
_REMEDY: Final = "If it is yours, add it to the setting allowed_hosts (TRUNKLINE_ALLOWED_HOSTS)"
_NARROW_REMEDY: Final = "If it is yours, add its origin to the setting cors_origins (TRUNKLINE_CORS_ORIGINS)"
NO_PAGES: Final = Cors(frozenset(), ())

Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Door:
    """The names that this gateway goes by, in small letters and without port."""

    names: frozenset[str]
    """Besides those of loopback."""
    trusted: frozenset[str] = frozenset()
    """Whose pages may change things."""
    public: Place | None = None
    open: bool = False
    """Any name will do."""

    def check(self, method: str, host: str | None, origin: str | None, *, shared: bool = False) -> None:
        """Raises Denied. `host` and `origin` are the headers as they came; no browser leaves `Host` out, and old tools do.

        `shared`: there is a setting that lets pages of another origin in to this path, and to nothing else.
        """
        to = place(host or "")
        if host is not None and not self.open and not (to and self._known(to[0])):
            raise Denied(f"the Host header does not name this gateway. {_REMEDY}", code="HOST_NOT_ALLOWED", setting="allowed_hosts")
        if method not in _READING and origin is not None and not self._own(origin, to):
            remedy, setting = (_NARROW_REMEDY, "cors_origins") if shared else (_REMEDY, "allowed_hosts")
            raise Denied(f"a page of another origin may not do this. {remedy}", code="ORIGIN_NOT_ALLOWED", setting=setting)

    def _known(self, name: str) -> bool:
        return loopback(name) or name in self.names

    def _own(self, origin: str, to: Place | None) -> bool:
        scheme, _, rest = origin.partition("://")
        page = place(rest, scheme)
        if page is None:
            return False
        asked = to and (to[0], to[1] or _PORTS.get(scheme))
        return page in (asked, self.public) or page[0] in self.trusted


def door(settings: Settings) -> Door:
    scheme, _, rest = settings.public_url.partition("://")
    public = place(rest.partition("/")[0], scheme)
    allowed = frozenset(name.lower().strip("[]") for name in settings.allowed_hosts)
    names = allowed | {settings.host.lower().strip("[]")} | ({public[0]} if public else set())
    return Door(names, allowed, public, open=not allowed and not loopback(settings.host))


def guard(at: Door, pages: Cors = NO_PAGES) -> Callable[[web.Request], None]:
    """Stands in front of every route, and of every path that is none. `pages`: those of another origin that may come in all the same."""

    fits = lru_cache(REMEMBERED)(at.check)  # a refusal is not remembered, and most callers use one name

    def check(request: web.Request) -> None:
        if unread := wire.refusal(request):
            raise unread
        host, origin = request.headers.get(hdrs.HOST), request.headers.get(hdrs.ORIGIN)
        if origin is None or pages.lets(request):
            fits(request.method, host, None)
        else:
            fits(request.method, host, origin, shared=pages.covers(request))

    return check


def place(authority: str, scheme: str = "") -> Place | None:
    """Name and port of `name:port`, the port that the scheme implies when none is said; nothing when it is none of that."""
    found = _AUTHORITY.fullmatch(authority)
    if not found:
        return None
    port = int(found["port"]) if found["port"] else _PORTS.get(scheme)
    return (found["six"] or found["name"]).lower(), port


def loopback(name: str) -> bool:
    """Whether a name can only mean this machine, whatever a name server says."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False
