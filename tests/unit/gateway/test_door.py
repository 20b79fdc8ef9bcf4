"""To whom a request may be addressed, and from which page it may come."""

from __future__ import annotations

import pytest

from tests.each import each
from trunkline.contracts.errors import Denied, Invalid
from trunkline.runtime.settings import load
from trunkline_gateway.adapters.door import Door, door, loopback, place
from trunkline_gateway.settings import Settings


def at(**settings: object) -> Door:
    return door(Settings.model_validate(settings))


def taken(where: Door, host: str | None = "localhost", origin: str | None = None, method: str = "POST") -> bool:
    try:
        where.check(method, host, origin)
    except Denied as refusal:
        assert refusal.code in ("HOST_NOT_ALLOWED", "ORIGIN_NOT_ALLOWED")
        assert "allowed_hosts" in refusal.message
        return False
    return True


@pytest.mark.parametrize("listening", ["127.0.0.1", "localhost", "::1", "127.8.0.1"])
@pytest.mark.parametrize("host", ["localhost", "localhost:1", "LocalHost.", "127.0.0.1:8787", "127.1.2.3", "[::1]", "[::1]:8787"])
def test_on_loopback_every_loopback_name_is_taken(listening: str, host: str) -> None:
    assert taken(at(host=listening), host)


@each(
    "host",
    [
        "evil.example", "evil.example:8787", "127.0.0.1.evil.example", "localhost.evil.example", "evil-localhost",
        "evil@localhost", "localhost@evil", "localhost evil", "localhost/", "localhost:x", "localhost:1:2", "[localhost]",
        "0.0.0.0", "[::]", "10.0.0.1", "[::1", "::1", "", " ", ":8787",
    ],
)  # fmt: skip
def test_on_loopback_no_other_name_is_taken(host: str) -> None:
    assert not taken(at(), host)


def test_an_old_tool_that_names_nobody_is_taken_for_no_browser_does_that() -> None:
    assert taken(at(), None)


def test_the_public_name_is_taken() -> None:
    where = at(public_url="https://trunk.example/base")
    assert taken(where, "trunk.example")
    assert taken(where, "Trunk.Example:443")
    assert not taken(where, "other.example")


def test_names_that_somebody_allowed_are_taken() -> None:
    where = at(allowed_hosts=("Box.lan", "[fe80::1]"))
    assert taken(where, "box.lan:8787")
    assert taken(where, "[fe80::1]:8787")
    assert taken(where, "localhost")
    assert not taken(where, "evil.example")


def test_elsewhere_any_name_is_taken_until_somebody_says_which() -> None:
    assert taken(at(host="0.0.0.0"), "anything.example")
    assert taken(at(host="0.0.0.0"), "")
    named = at(host="0.0.0.0", allowed_hosts=("box.lan",))
    assert not taken(named, "anything.example")
    assert taken(named, "box.lan")
    assert taken(named, "127.0.0.1:8787")


def test_the_address_that_is_listened_on_is_taken() -> None:
    assert taken(at(host="192.0.2.7", allowed_hosts=("box.lan",)), "192.0.2.7:8787")


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("localhost:8787", "http://localhost:8787"),
        ("localhost", "http://localhost"),
        ("localhost:443", "https://localhost"),
        ("localhost:9", "https://trunk.example"),
        ("trunk.example", "https://trunk.example:443"),
        ("localhost:9", "http://box.lan:3000"),
        ("[::1]:8787", "http://[::1]:8787"),
    ],
)
def test_a_page_of_ours_may_change_things(host: str, origin: str) -> None:
    assert taken(at(public_url="https://trunk.example", allowed_hosts=("box.lan",)), host, origin)


@each(
    "origin",
    ["null", "", "http://evil.example", "http://localhost:3000", "https://localhost:8787.evil.example", "http://127.0.0.1:8787x",
     "http://trunk.example", "chrome-extension://abc", "http://localhost:8787/", "localhost"],
)  # fmt: skip
def test_a_foreign_page_may_change_nothing_and_may_ask(origin: str) -> None:
    where = at(public_url="https://trunk.example")
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get"):
        assert not taken(where, "localhost:8787", origin, method)
    for method in ("GET", "HEAD"):
        assert taken(where, "localhost:8787", origin, method)


def test_foreign_pages_are_refused_where_any_name_is_taken_too() -> None:
    assert not taken(at(host="0.0.0.0"), "box.lan:8787", "http://evil.example")
    assert not taken(at(host="0.0.0.0"), None, "http://evil.example")


@each("name", ["https://box.lan", "box.lan:80", "box.lan/x", "192.0.2.7:80", "[::1]:80", "", "*", "a b", "user@box"])
def test_a_name_that_is_none_is_no_setting(name: str) -> None:
    with pytest.raises(Invalid, match="without scheme, port or path"):
        load(Settings, toml={"allowed_hosts": [name]})


def test_names_are_told_between_commas() -> None:
    environ = {"TRUNKLINE_ALLOWED_HOSTS": "box.lan, 192.0.2.7,::1,[fe80::a:1234]"}
    assert load(Settings, environ=environ).settings.allowed_hosts == ("box.lan", "192.0.2.7", "::1", "[fe80::a:1234]")


def test_a_place_is_a_name_and_a_port() -> None:
    assert place("A.b:1") == ("a.b", 1)
    assert place("a", "https") == ("a", 443)
    assert place("a") == ("a", None)
    assert place("[::1]:2") == ("::1", 2)


def test_only_what_always_means_this_machine_is_loopback() -> None:
    assert [name for name in ("localhost", "127.0.0.1", "127.255.0.1", "::1", "[::1]") if not loopback(name)] == []
    assert [name for name in ("0.0.0.0", "::", "10.0.0.1", "box", "", "127.1", "2130706433") if loopback(name)] == []
