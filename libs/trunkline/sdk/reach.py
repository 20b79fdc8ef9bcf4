"""Where the gateway is, and how it is reached: address, proxy, TLS, deadlines."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

DEFAULT_URL: Final = "http://127.0.0.1:8787"
URL: Final = "TRUNKLINE_URL"
ANSWER: Final = 30.0
CONNECT: Final = 5.0
SILENCE: Final = 45.0
"""Three heartbeats."""
GIVE_UP: Final = 300.0


@dataclass(frozen=True, slots=True)
class Reach:
    """One gateway. Seconds: `answer` for one answer, `connect` for a connection, `silence` for which a stream may say nothing."""

    url: str
    proxy: str | None = field(default=None, repr=False)
    """It may hold a password."""
    ssl: ssl.SSLContext | None = None
    answer: float = ANSWER
    connect: float = CONNECT
    silence: float = SILENCE


def address(given: str | None, environ: Mapping[str, str]) -> str:
    """Raises ValueError for what is no address, and for one with a password in it, which would end up in logs. Pure."""
    url = (given or environ.get(URL) or DEFAULT_URL).strip().rstrip("/")
    found = urlsplit(url)
    if found.username is not None or found.password is not None:
        raise ValueError("base_url must not hold a user or password: give a credential as token or api_key")
    if found.scheme not in ("http", "https") or not found.hostname or found.query or found.fragment:
        raise ValueError(f"base_url must look like https://host:port, without ? and #: {url!r}")
    return url


def proxy_of(url: str, environ: Mapping[str, str]) -> str | None:
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say of an address. Pure."""
    found = urlsplit(url)
    named = {name.lower(): value for name, value in environ.items() if name.lower().endswith("_proxy") and value}
    if "REQUEST_METHOD" in environ:  # below CGI, HTTP_PROXY is a header that a stranger sent
        named.pop("http_proxy", None)
    if _direct(found.hostname or "", found.port, named.get("no_proxy", "")):
        return None
    proxy = named.get(f"{found.scheme}_proxy") or named.get("all_proxy")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _direct(host: str, port: int | None, no_proxy: str) -> bool:
    """Whether one of the names between commas is that of the host, or of a domain that it is in."""
    for name in (word.strip().lower().lstrip(".") for word in no_proxy.split(",")):
        if name == "*" or (name and (host in (name, name.strip("[]")) or f".{host}".endswith(f".{name}") or f"{host}:{port}" == name)):
            return True
    return False


def context(ca_file: str | None) -> ssl.SSLContext | None:
    """What trusts a certificate of one's own; None trusts what the machine does. Raises OSError."""
    return ssl.create_default_context(cafile=ca_file) if ca_file else None
