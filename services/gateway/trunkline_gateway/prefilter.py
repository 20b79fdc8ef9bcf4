"""Who asks, as an address, and whether that address asks faster than any honest caller would: decided before anything is read."""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

ADDRESSES: Final = 65_536
"""That are watched at the same time: some 10 MB. Beyond that, whoever was quiet for longest is forgotten."""
UNKNOWN: Final = "unknown"
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+(?:%[^\]]*)?)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII)


@dataclass(slots=True)
class Prefilter:
    """Lets `rate` requests a second through for each address, and `burst` at once. Times in seconds, on any clock that only goes on."""

    rate: float
    burst: int
    most: int = ADDRESSES
    _due: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def wait(self, address: str, now: float) -> float:
        """0 when a request may pass, else the seconds after which the next one may; a request that may not pass counts for nothing."""
        due = max(self._due.get(address, now), now)
        ahead = due - now - (self.burst - 1) / self.rate
        if ahead > 1e-9:
            return ahead
        self._due[address] = due + 1 / self.rate
        self._due.move_to_end(address)
        if len(self._due) > self.most:
            self._due.popitem(last=False)
        return 0.0


def caller(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The address that asks: the peer's, or what the nearest proxies that we trust say of it.

    `forwarded` are the values of X-Forwarded-For; read from the right, for what stands left of our own proxies anybody may have written.
    """
    known = _address(peer)
    hops = [hop for value in forwarded for hop in value.split(",")] if trusted else []
    while known and hops and any(known in network for network in trusted):
        before = _address(hops.pop().strip())
        if before is None:
            break
        known = before
    return _name(known) if known else UNKNOWN


@lru_cache(4096)
def is_loopback(address: str) -> bool:
    """Of a name that `caller` gave."""
    return address != UNKNOWN and ipaddress.ip_network(address).is_loopback


@lru_cache(4096)
def _address(text: str) -> Address | None:
    """Some proxies write down the port too: `1.2.3.4:5678`, `[::1]:5678`."""
    with_port = _WITH_PORT.fullmatch(text)
    try:
        found = ipaddress.ip_address((with_port[1] or with_port[2] if with_port else text).partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


@lru_cache(4096)
def _name(address: Address) -> str:
    """One customer has a whole /64 of IPv6, so that counts as one address."""
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
