"""Which addresses of the network a webhook may reach: public ones, and those that the configuration names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

USUAL_PORTS: Final = (443, 8443)
_FORBIDDEN: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_6: Final = IPv6Network("2000::/3")
"""All that IPv6 routes over the Internet; mapped, compatible, NAT64, unique local, link-local, site-local and multicast lie outside."""
_FORBIDDEN_6: Final = tuple(
    IPv6Network(text)
    # Teredo, benchmarking, ORCHID and the rest of 2001::/23; documentation; 6to4; AS112; documentation of RFC 9637
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


@dataclass(frozen=True, slots=True)
class Reach:
    """What webhooks may reach beside port 443 and 8443 of the Internet."""

    networks: Sequence[Network] = ()
    """On any port and without TLS too."""
    ports: Sequence[int] = USUAL_PORTS


def forbidden(address: Address) -> bool:
    """Whether it may be something else than a host on the Internet: what leads inward, or to an IPv4 address written in IPv6."""
    if isinstance(address, IPv4Address):
        return any(address in network for network in _FORBIDDEN)
    return address.scope_id is not None or address not in _GLOBAL_6 or any(address in network for network in _FORBIDDEN_6)


def refusal(host: str, port: int, *, secure: bool, reach: Reach) -> str:
    """Why this peer of a connection may not be talked to, as a sentence; empty when it may. `host` is an address."""
    try:
        address = ip_address(host)
    except ValueError:
        return "its address cannot be read"
    if any(address in network for network in reach.networks):
        return ""
    if forbidden(address):
        return "its address is not one of the public Internet"
    if not secure:
        return "it is not reached by https"
    return "" if port in reach.ports else f"its port {port} is not one that webhooks may use"
