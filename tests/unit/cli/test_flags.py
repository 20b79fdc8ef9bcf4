"""Flags and variables: each command takes what means something to it, says what it is, and hands on no more."""

from __future__ import annotations

import argparse

import pytest

from trunkline.runtime.faults import DIRECTORY
from trunkline_cli import sources
from trunkline_cli.commands import serve, up
from trunkline_cli.meanings import MEANINGS, meaning
from trunkline_cli.services import NAMES
from trunkline_cli.sources import Sources, every_field, fields_of, is_secret

UP_ONLY = ("split", "nats_store_limit")


def help_of(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    parser = argparse.ArgumentParser()
    (serve if words[:1] != ("up",) else up).configure(parser)
    with pytest.raises(SystemExit):
        parser.parse_args([*(word for word in words if word != "up"), "--help"])
    return " ".join(capsys.readouterr().out.split())


def test_every_flag_says_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    told = help_of("up", capsys=capsys)
    for name, info in every_field():
        if not is_secret(info):
            assert f"--{name.replace('_', '-')}" in told
            assert meaning(name) in told
    assert "memory for each agent, in MB (default: 2048)" in told


def test_no_meaning_is_told_of_a_setting_that_is_gone() -> None:
    assert MEANINGS.keys() - dict(every_field()).keys() == set()


@pytest.mark.parametrize("service", NAMES)
def test_a_service_offers_its_own_flags_and_no_other(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = help_of(service, capsys=capsys)
    assert all(flag in told for flag in ("--data-dir", "--nats-url", "--nats-monitor", "--accept-unsafe-nats", "--log-level"))
    assert not any(f"--{name.replace('_', '-')}" in told for name in UP_ONLY)
    assert ("--cpus" in told) == (service == "sandbox")
    assert ("--port" in told) == (service == "gateway")


@pytest.mark.parametrize("service", NAMES)
def test_a_service_inherits_what_it_reads_and_what_any_program_needs(service: str) -> None:
    environ = {
        "PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "PYTHONPATH": "/p", DIRECTORY: "/f", "SSL_CERT_FILE": "/c", "ANTHROPIC_API_KEY": "sk",
        "AWS_SECRET_ACCESS_KEY": "s", "HTTPS_PROXY": "http://u:p@h", "SSH_AUTH_SOCK": "/s", "TRUNKLINE_STRAY": "1", "TRUNKLINE_SPLIT": "on",
    }  # fmt: skip
    said = Sources({"nats_password": "pw", "port": "1", "split": "on"}, environ).environment(service)
    always = {"PATH", "HOME", "LC_ALL", "PYTHONPATH", DIRECTORY, "SSL_CERT_FILE", "TRUNKLINE_NATS_PASSWORD"}
    own = {"sandbox": {"ANTHROPIC_API_KEY"}, "gateway": {"TRUNKLINE_PORT"}}.get(service, set())
    assert said.keys() == always | own


def test_what_was_a_flag_is_found_by_the_child_as_it_was_said() -> None:
    said = Sources({"cpus": "2"}, {"TRUNKLINE_CPUS": "3"})
    child = Sources({}, said.environment("sandbox"))
    assert {row.name: row.value for row in sources.every_row(child)}["cpus"] == "2.0"
    assert "cpus" in fields_of("sandbox")
