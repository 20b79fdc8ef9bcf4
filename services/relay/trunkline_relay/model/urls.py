"""Which addresses can be told at all, as far as their text says; who answers there is judged when it is connected to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from trunkline.contracts.errors import Invalid
from trunkline_relay.model.addresses import Reach, refusal

_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")
_LOOPBACK: Final = (ip_address("127.0.0.1"), ip_address("::1"))
_PORTS: Final = {"https": 443, "http": 80}


def check_url(url: str, reach: Reach) -> None:
    """Raises Invalid with what is wrong."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _bad("must hold only plain ASCII characters; write others percent-encoded, and the host in punycode")
    parts, port = _split(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and reach.networks):
        raise _bad("must begin with https://")
    if not parts.hostname or ("[" in parts.netloc and ":" not in parts.hostname):
        raise _bad("must name a host")
    if "@" in parts.netloc:
        raise _bad("must hold no user and no password: what comes is known by its signature")
    if "#" in url:
        raise _bad("must have no fragment")
    if port not in reach.ports and not reach.networks:
        raise _bad(f"must use one of the ports {', '.join(str(each) for each in reach.ports)}")
    if not _literal(parts.hostname):
        _check_name(parts.hostname.removesuffix("."), reach)
    elif parts.scheme == "http":
        check_plain(parts.hostname, (parts.hostname,), reach)
    elif why := refusal(parts.hostname, port, secure=True, reach=reach):
        raise _bad(f"cannot be told: {why}")


def plain_name(url: str) -> str:
    """The name that is to be told without TLS, whose addresses `check_plain` wants; empty for an address, this machine, and https."""
    host = (_split(url)[0].hostname or "").removesuffix(".")
    return "" if secure(url) or _literal(host) or _local(host) else host


def check_plain(host: str, addresses: Iterable[str], reach: Reach) -> None:
    """Without TLS nobody is told but in the networks that are allowed. Raises Invalid unless there are addresses, and all lie there."""
    whys = [refusal(address, _PORTS["http"], secure=False, reach=reach) for address in addresses]
    if not whys or any(whys):
        found = "leads elsewhere" if whys else "has no address that could be found"
        raise _bad(f"must begin with https://: without it only what lies in webhook_networks_allowed is told, and {host} {found}")


def host_of(url: str) -> str:
    """Host and port: whatever is told there shares its slots and its breaker."""
    parts, port = _split(url)
    return f"{parts.hostname}:{port}"


def secure(url: str) -> bool:
    return urlsplit(url).scheme == "https"


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        return parts, parts.port if parts.port is not None else _PORTS.get(parts.scheme, 0)
    except ValueError:
        raise _bad("is no address of the web") from None


def _literal(host: str) -> bool:
    """Whether it is an address written in the usual way, in place of a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _check_name(host: str, reach: Reach) -> None:
    """A name is judged by who answers there, but for those that never mean anybody else; a number written oddly is no name."""
    if not _NAME.fullmatch(host):
        raise _bad("must name a host in letters, digits, hyphens and dots")
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise _bad("must name a host, or write its address in the usual way")
    if _local(host) and not any(address in network for address in _LOOPBACK for network in reach.networks):
        raise _bad(f"cannot be told: {host} is the machine that Trunkline runs on")


def _local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def _bad(why: str) -> Invalid:
    return Invalid(f"the url of a webhook {why}", code="BAD_WEBHOOK_URL")
