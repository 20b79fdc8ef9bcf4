"""Who asks, and when an address asks too fast."""

from __future__ import annotations

import ipaddress

import pytest

from tests.each import each
from trunkline_gateway.prefilter import UNKNOWN, Prefilter, caller, is_loopback

PROXIES = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


def test_a_burst_passes_at_once_and_then_the_rate() -> None:
    filter = Prefilter(rate=10, burst=5)
    assert [filter.wait("a", 0.0) == 0 for _ in range(7)] == [True] * 5 + [False] * 2
    assert filter.wait("a", 0.0) == pytest.approx(0.1)
    assert filter.wait("a", 0.1) == 0
    assert filter.wait("a", 0.1) > 0


def test_a_steady_caller_at_the_rate_always_passes() -> None:
    filter = Prefilter(rate=200, burst=1)
    assert all(filter.wait("a", number / 200) == 0 for number in range(1000))


def test_in_ten_seconds_of_a_flood_no_more_passes_than_burst_and_rate() -> None:
    filter = Prefilter(rate=200, burst=400)
    passed = sum(filter.wait("a", number / 5000) == 0 for number in range(50_000))
    assert 2390 <= passed <= 2400


def test_one_address_does_not_wait_for_another() -> None:
    filter = Prefilter(rate=1, burst=1)
    assert filter.wait("a", 0.0) == 0
    assert filter.wait("a", 0.0) > 0
    assert filter.wait("b", 0.0) == 0


def test_no_more_addresses_are_kept_than_said_and_the_quietest_goes_first() -> None:
    filter = Prefilter(rate=0.001, burst=1, most=2)
    assert [filter.wait(name, 0.0) == 0 for name in ("a", "b", "c")] == [True] * 3
    assert [filter.wait(name, 0.0) == 0 for name in ("c", "b", "a")] == [False, False, True]


@each(
    ("peer", "forwarded", "asks"),
    [
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1, nonsense"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1:5678"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:db8:1:2::9]:5678"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["[2001:db8:1:2::9]"], "2001:db8:1:2::/64"),
        ("10.0.0.1", ["[::1]:5678"], "::1"),
        ("10.0.0.1", ["[::ffff:198.51.100.1]:5678"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:5678, 10.0.0.2:443"], "198.51.100.1"),
        ("10.0.0.1", ["198.51.100.1:"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:http"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1:5678:9"], "10.0.0.1"),
        ("10.0.0.1", ["[198.51.100.1"], "10.0.0.1"),
        ("10.0.0.1", ["1.1.1.1, [not:one]:5678"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", [], "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("::1", [], "::1"),
        ("", [], UNKNOWN),
        ("a.sock", ["198.51.100.1"], UNKNOWN),
    ],
)
def test_an_address_is_the_peers_or_what_our_own_proxies_say(peer: str, forwarded: list[str], asks: str) -> None:
    assert caller(peer, forwarded, PROXIES) == asks


def test_without_proxies_of_ours_the_header_is_not_believed() -> None:
    assert caller("10.0.0.1", ["198.51.100.1"], ()) == "10.0.0.1"


def test_loopback_is_known() -> None:
    names = ["127.0.0.1", "127.9.9.9", "::1", "203.0.113.7", "2001:db8::/64", UNKNOWN]
    assert [is_loopback(name) for name in names] == [True, True, True, False, False, False]
