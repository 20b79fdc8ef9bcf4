"""The import contracts catch what they are there to catch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import PACKAGES, ROOT, SERVICES

BREACHES = {
    "Services meet only on the bus": ("services/approvals/trunkline_approvals/wiring.py", "import trunkline_router"),
    "Libs are a ladder": ("libs/trunkline/contracts/planted.py", "import trunkline.bus"),
    "The same rooms, in the same order": ("services/sandbox/trunkline_sandbox/ports.py", "import trunkline_sandbox.adapters"),
    "Thinking does no I/O": ("services/router/trunkline_router/model.py", "import asyncio"),
    "Dialects see use cases and contracts, nothing else of ours": (
        "services/gateway/trunkline_gateway/dialects/planted/routes.py",
        "import trunkline.bus",
    ),
    "Each vendor has one door: nats and faststream": ("services/relay/trunkline_relay/settings.py", "import nats"),
    "Each vendor has one door: tokens": ("libs/trunkline/runtime/planted.py", "import jwt"),
}


def lint(tree: Path) -> str:
    roots = [str(tree / Path(package).parent) for package in PACKAGES]
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", str(tree / ".importlinter")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(roots)}
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of a copy of the product with one breach planted for each contract."""
    tree = tmp_path_factory.mktemp("planted")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".importlinter", tree)
    for path, line in BREACHES.values():
        plant(tree / path, line)
    return lint(tree)


def plant(file: Path, line: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    for folder in (file.parent, file.parent.parent):
        (folder / "__init__.py").touch()
    file.write_text((file.read_text() if file.exists() else "") + f"\n{line}\n")


@pytest.mark.parametrize("contract", BREACHES)
def test_a_planted_breach_is_caught(broken: str, contract: str) -> None:
    said = " ".join(broken.split())
    assert f"{contract} BROKEN" in said, broken


def test_every_service_is_under_the_contracts() -> None:
    text = (ROOT / ".importlinter").read_text()
    assert [name for name in SERVICES if f"trunkline_{name}" not in text] == []
