"""What is shipped to run elsewhere can be read by what will run it."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.architecture.source import ROOT, SERVICES
from trunkline.auth.nkeys import Issuer, new_seed
from trunkline.bus.accounts import accounts
from trunkline.runtime.settings import fills
from trunkline_cli import sources
from trunkline_cli.commands import serve
from trunkline_cli.services import settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import fields_of

CONFIG = ROOT / "deploy" / "nats" / "cluster.conf"
SECRET = "a" * 64
NODES = ("nats-1", "nats-2", "nats-3")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return read


def test_compose_runs_three_nodes_and_every_service(compose: dict[str, Any]) -> None:
    assert sorted(compose["services"]) == sorted((*NODES, *SERVICES))


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_its_own_container(compose: dict[str, Any], service: str) -> None:
    container = compose["services"][service]
    assert container["command"][:2] == ["serve", service]
    assert "container_name" not in container, "a fixed name cannot be scaled"
    assert container["environment"]["TRUNKLINE_REPLICAS"] == "3"
    assert container["build"]["dockerfile"] == "deploy/Dockerfile"


def test_only_the_gateway_listens_outside(compose: dict[str, Any]) -> None:
    assert [name for name, container in compose["services"].items() if "ports" in container] == ["gateway"]


def test_the_gateway_that_asks_nobody_who_they_are_is_reached_from_this_machine_only(compose: dict[str, Any]) -> None:
    assert [port.startswith("127.0.0.1:") for port in compose["services"]["gateway"]["ports"]] == [True]
    assert compose["services"]["gateway"]["environment"]["TRUNKLINE_ALLOWED_HOSTS"]


def test_the_gateway_and_nobody_else_is_given_the_secret_that_signs_tokens(compose: dict[str, Any]) -> None:
    told = [name for name in SERVICES if "ORCHESTRATOR_JWT_SECRET" in compose["services"][name]["environment"]]
    assert told == ["gateway"], "without it nobody could use the orchestrator surface, and no other service needs it"


def test_whoever_seals_and_opens_tokens_and_secrets_of_webhooks_is_given_the_key_and_nobody_else(compose: dict[str, Any]) -> None:
    told = [name for name in SERVICES if "TRUNKLINE_VAULT_KEY" in compose["services"][name]["environment"]]
    assert sorted(told) == ["gateway", "relay", "sandbox"]


def test_every_volume_that_is_mounted_is_declared(compose: dict[str, Any]) -> None:
    mounts = (mount.split(":")[0] for container in compose["services"].values() for mount in container.get("volumes", []))
    assert {mount for mount in mounts if not mount.startswith((".", "/"))} == set(compose["volumes"])


def test_what_a_sandbox_service_keeps_outlives_its_container_and_is_no_other_ones(compose: dict[str, Any]) -> None:
    sandbox = compose["services"]["sandbox"]
    assert sandbox["environment"]["TRUNKLINE_DATA_DIR"] in sandbox["volumes"], "a volume without a name is each container's own"


def test_the_book_of_the_log_outlives_its_relay_and_is_no_other_ones(compose: dict[str, Any]) -> None:
    relay = compose["services"]["relay"]
    assert relay["environment"]["TRUNKLINE_DATA_DIR"] in relay["volumes"]
    assert "TRUNKLINE_RELAY_INSTANCE" not in relay["environment"], "each container has a folder of its own"


def test_whoever_calls_the_world_outside_has_a_way_there(compose: dict[str, Any]) -> None:
    assert compose["networks"]["bus"]["internal"] is True
    out = [name for name in SERVICES if "front" in compose["services"][name]["networks"]]
    assert sorted(out) == ["gateway", "relay", "sandbox"]


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_tells_how_it_is_on_the_port_that_is_asked(compose: dict[str, Any], service: str) -> None:
    container = compose["services"][service]
    port = container["environment"]["TRUNKLINE_METRICS_PORT"]
    assert f":{port}/health/ready" in container["healthcheck"]["test"][-1]
    assert not [one for one in container.get("ports", []) if port in one], "whoever reaches it reads the figures"


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_told_nothing_that_it_does_not_know(compose: dict[str, Any], service: str) -> None:
    check_settings(service, compose["services"][service]["environment"])


def check_settings(service: str, environment: Iterable[str]) -> None:
    fields = {**fields_of(service), **StackSettings.model_fields}
    unknown = [each for each in environment if not any(fills(each, name, info) for name, info in fields.items())]
    assert unknown == [], f"{service} knows nothing of that"


SAID = re.compile(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)\}")
"""A variable of whoever starts it, with what counts where nothing is said."""


@pytest.mark.parametrize("service", SERVICES)
def test_the_program_takes_every_command_and_what_it_finds_around_it(compose: dict[str, Any], service: str) -> None:
    container = compose["services"][service]
    told = {name: SAID.sub(lambda said: SECRET if said[1] is None else said[1], value) for name, value in container["environment"].items()}
    check_start(container["command"], told)


def check_start(command: list[str], environment: dict[str, str]) -> None:
    """As `trunkline` reads it before it starts anything: it would refuse what it does not know, or what does not fit."""
    parser = argparse.ArgumentParser()
    serve.configure(parser)
    verb, service, *words = command
    said, warnings = sources.read(parser.parse_args([service, *words]), environment)
    stack, own = said.load(StackSettings).settings, said.load(settings_of(service)).settings
    assert (verb, warnings) == ("serve", [])
    assert str(stack.root()) == "/var/lib/trunkline" and (own.replicas, own.metrics_host) == (3, "0.0.0.0")  # type: ignore[attr-defined]  # of the bus


def test_every_file_that_is_mounted_is_there(compose: dict[str, Any]) -> None:
    mounts = (mount.split(":")[0] for container in compose["services"].values() for mount in container.get("volumes", []))
    assert all((ROOT / mount).is_file() for mount in mounts if mount.startswith("."))


def test_nats_server_takes_the_cluster_configuration_and_the_words_it_is_started_with(compose: dict[str, Any]) -> None:
    server = Path(sys.executable).with_name("nats-server")
    environ = {**os.environ, "TRUNKLINE_NATS_PASSWORD": "a1", "TRUNKLINE_NATS_SYSTEM_PASSWORD": "a2"}
    environ["TRUNKLINE_NATS_CALLOUT_ISSUER"] = Issuer.of(new_seed()).public
    words = [word.replace("/etc/nats/cluster.conf", str(CONFIG)) for word in compose["services"]["nats-1"]["command"]]
    done = subprocess.run([server, "-t", *words], env=environ, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_the_accounts_of_the_cluster_are_those_of_every_other_server() -> None:
    names = ("TRUNKLINE_NATS_PASSWORD", "TRUNKLINE_NATS_SYSTEM_PASSWORD", "TRUNKLINE_NATS_CALLOUT_ISSUER")
    assert CONFIG.read_text().endswith(accounts(*(f"${name}" for name in names)))


def test_the_gateway_and_nobody_else_lets_agents_in(compose: dict[str, Any]) -> None:
    assert [name for name in SERVICES if "TRUNKLINE_NATS_CALLOUT_SEED" in compose["services"][name]["environment"]] == ["gateway"]


def test_an_acknowledgement_of_the_cluster_means_on_disk() -> None:
    text = CONFIG.read_text()
    assert "sync_interval: always" in text
    assert "js_ack_fc_v2: false" in text


def test_the_image_installs_only_what_is_pinned_and_is_not_run_by_root() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text()
    installs = [line for line in lines.splitlines() if "pip install" in line]
    assert installs and all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert "\nUSER trunkline\n" in lines
