"""The address of nats-server: several servers, credentials put in, and never shown."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from trunkline.bus.settings import BusSettings, shown
from trunkline.runtime import settings


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("nats://h:4222", "h:4222"),
        ("h1:4222,h2:4222", "h1:4222,h2:4222"),
        ("nats://u:S3CRET@h1:4222, nats://u:S3CRET@h2:4222", "h1:4222,h2:4222"),
        ("nats://u:S3CRET,MORE@h:4222", "h:4222"),
    ],
)
def test_people_see_hosts_and_ports_only(url: str, hosts: str) -> None:
    assert shown(url) == hosts


@pytest.mark.parametrize("url", ["u:S3CRET@h:1", "nats://u:S3CRET@h", "nats://a:S3CRET@h1,b:S3CRET@h2", "nats://u:S3CRET,S3CRET@h"])
def test_the_list_of_settings_shows_no_password(url: str) -> None:
    assert "S3CRET" not in settings.shown(url)


def test_what_is_no_credential_is_shown() -> None:
    assert settings.shown("git commit --author=me@example.org") == "git commit --author=me@example.org"


def test_credentials_go_into_every_server_of_the_address() -> None:
    bus = BusSettings(nats_url="h1:4222,nats://h2:4222", nats_user="ann", nats_password=SecretStr("p@ss,word"))
    assert bus.addresses() == ["nats://ann:p%40ss%2Cword@h1:4222", "nats://ann:p%40ss%2Cword@h2:4222"]


def test_a_comma_within_a_password_parts_nothing() -> None:
    assert BusSettings(nats_url="nats://u:a,b@h:4222").addresses() == ["nats://u:a,b@h:4222"]


@pytest.mark.parametrize(
    ("url", "held"),
    [
        ("nats://u:a,b@h1,nats://u:a,b@h2", {"user": "u", "password": "a,b"}),
        ("nats://u:p%40ss@h", {"user": "u", "password": "p@ss"}),
        ("nats://t0ken@h1,nats://t0ken@h2", {"token": "t0ken"}),
        ("nats://h1,nats://h2", {}),
        ("nats://u:a@h1,nats://v:b@h2", {}),
    ],
)
def test_what_all_servers_take_is_known_apart_from_their_addresses(url: str, held: dict[str, str]) -> None:
    bus = BusSettings(nats_url=url)
    assert bus.credentials() == held
    assert all("@" not in place for place in bus.places())
