"""A program that only asks a gateway loads nothing of the services, of the bus or of their vendors."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ALLOWED = {"trunkline", "trunkline.contracts", "trunkline.contracts.cursor", "trunkline.contracts.errors"}
HEAVY = ("nats", "faststream", "structlog", "cryptography", "jwt", "rich", "uvloop", "orjson")


def loaded(statement: str) -> list[str]:
    """The modules that a fresh interpreter has after it."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("statement", ["from trunkline import Client, AsyncClient", "import trunkline.sdk.webhooks"])
def test_asking_needs_nothing_of_the_services(statement: str) -> None:
    names = loaded(statement)
    ours = {name for name in names if name.split(".")[0].startswith("trunkline") and not name.startswith("trunkline.sdk")}
    assert ours - ALLOWED == set()
    assert [name for name in names if name.split(".")[0] in HEAVY] == []


def test_verifying_needs_nothing_but_python() -> None:
    names = loaded("import trunkline.sdk.webhooks")
    assert [name for name in names if name.split(".")[0] in ("aiohttp", "pydantic")] == []


def test_a_service_that_names_the_package_does_not_load_the_clients() -> None:
    assert [name for name in loaded("import trunkline.contracts.task") if name.startswith("trunkline.sdk")] == []


def test_agents_and_their_tests_need_no_bus_and_no_service() -> None:
    names = loaded("from trunkline import Agent; import trunkline.sdk.testkit")
    heavy = [name for name in HEAVY if name != "orjson"]
    assert [name for name in names if name.split(".")[0] in heavy] == []
    ours = {name.split(".")[1] for name in names if name.startswith("trunkline.")}
    assert ours == {"contracts", "sdk"}
