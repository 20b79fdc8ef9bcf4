"""A webhook never leads inward: every address that is none of the public Internet is refused, however it is written."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from tests.each import each
from trunkline.contracts.errors import Invalid
from trunkline_relay.model.addresses import Reach, forbidden, refusal
from trunkline_relay.model.urls import check_plain, check_url, host_of, plain_name

INWARD = (
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.254", "127.0.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1", "5f00::1",
    "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1",
)  # fmt: skip
OUTWARD = ("8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "2a00:1450:4001::5e")
LOCAL = Reach((ip_network("127.0.0.0/8"),))


@each("text", INWARD)
def test_what_leads_inward_is_forbidden(text: str) -> None:
    assert forbidden(ip_address(text))
    assert "public Internet" in refusal(text, 443, secure=True, reach=Reach())


@pytest.mark.parametrize("text", OUTWARD)
def test_hosts_of_the_internet_may_be_told_by_https_on_the_usual_ports(text: str) -> None:
    assert not forbidden(ip_address(text))
    assert refusal(text, 443, secure=True, reach=Reach()) == ""
    assert "https" in refusal(text, 443, secure=False, reach=Reach())
    assert "port 22" in refusal(text, 22, secure=True, reach=Reach())


def test_allowed_networks_may_be_told_on_any_port_and_without_tls_and_nothing_beside_them() -> None:
    assert refusal("127.0.0.1", 8080, secure=False, reach=LOCAL) == ""
    assert "public Internet" in refusal("10.0.0.1", 443, secure=True, reach=LOCAL)
    assert "public Internet" in refusal("::ffff:127.0.0.1", 443, secure=True, reach=LOCAL)
    assert "https" in refusal("8.8.8.8", 80, secure=False, reach=LOCAL)


@each(
    "url",
    [
        "http://example.com/", "ftp://example.com/", "https://", "https:///in", "example.com", "https://a:b@example.com/", "https://a@example.com/",
        "https://example.com/#x", "https://example.com:22/", "https://example.com:99999/", "https://127.0.0.1/", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://exa mple.com/", "https://exämple.com/", "https://example.com\\@x/",
        "https://example.com/\n", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/", "https://127.1/", "https://0x7f.1./",
        "https://0/", "https://017700000001/", "https://1.1.1/", "https://localhost/", "https://LocalHost./", "https://a.localhost/in",
        "https://%6c%6fcalhost/", "https://127%2e0.0.1/", "https://a..b/", "https://.example.com/", "https://[v1.x]/",
    ],
)  # fmt: skip
def test_addresses_that_can_never_be_told_are_refused_with_their_text(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_url(url, Reach())
    assert refused.value.code == "BAD_WEBHOOK_URL"


def test_names_of_this_machine_are_taken_where_it_may_be_told() -> None:
    check_url("http://localhost:9009/in", LOCAL)
    with pytest.raises(Invalid, match="the machine that Trunkline runs on"):
        check_url("https://hooks.localhost/in", Reach((ip_network("10.0.0.0/8"),)))


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://8.8.8.8/", "http://[::ffff:127.0.0.1]/", "http://[2606:4700::1111]:8080/in"])
def test_without_tls_an_address_outside_the_allowed_networks_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="https://.*webhook_networks_allowed") as refused:
        check_url(url, LOCAL)
    assert refused.value.code == "BAD_WEBHOOK_URL"


def test_a_name_that_is_told_without_tls_is_to_lead_into_allowed_networks_alone() -> None:
    check_url("http://intranet.example:9009/in", LOCAL)
    assert plain_name("http://Intranet.example:9009/in") == "intranet.example"
    check_plain("intranet.example", ["127.0.0.1", "127.9.9.9"], LOCAL)
    for found in ([], ["8.8.8.8"], ["127.0.0.1", "8.8.8.8"], ["127.0.0.1", "::1"], ["127.0.0.1", "10.0.0.1"]):
        with pytest.raises(Invalid, match="webhook_networks_allowed is told, and intranet.example"):
            check_plain("intranet.example", found, LOCAL)


@pytest.mark.parametrize(
    "url", ["https://intranet.example/", "http://127.0.0.1:9/", "http://localhost:9/", "http://a.localhost./", "http://[::1]/"]
)
def test_other_names_need_not_be_asked_for(url: str) -> None:
    assert plain_name(url) == ""


def test_a_plain_url_is_taken_and_names_its_host() -> None:
    check_url("https://hooks.example.com:8443/in?for=1", Reach())
    check_url("http://127.0.0.1:5000/in", LOCAL)
    assert host_of("https://Hooks.Example.com/in") == "hooks.example.com:443"
