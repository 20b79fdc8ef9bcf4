"""Every service has the same rooms: whoever knows one knows the next before opening it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SERVICES, package, product

ROOMS = ("__init__.py", "__main__.py", "settings.py", "wiring.py", "ports.py", "adapters/__init__.py")
LISTENERS = ("router", "approvals", "sandbox", "relay")
OWNERS = ("router", "approvals", "sandbox")
GATEWAY = ("app.py", "dialect.py", "usecases/__init__.py", "dialects/__init__.py")
DIALECT = ("__init__.py", "routes.py", "schemas.py", "decode.py", "encode.py", "README.md")
HEADINGS = ("owns", "hears", "says", "keeps", "fails how")
DIALECTS = sorted(folder for folder in (package("gateway") / "dialects").glob("[a-z]*") if folder.is_dir())


def missing(service: str, rooms: tuple[str, ...]) -> list[str]:
    return [room for room in rooms if not (package(service) / room).is_file()]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_rooms(service: str) -> None:
    assert missing(service, ROOMS) == []


@pytest.mark.parametrize("service", LISTENERS)
def test_a_service_that_hears_says_what_it_hears(service: str) -> None:
    assert missing(service, ("subscriptions.py", "handlers/__init__.py")) == []


@pytest.mark.parametrize("service", OWNERS)
def test_an_owner_decides_in_its_model(service: str) -> None:
    assert missing(service, ("model.py",)) == [] or missing(service, ("model/__init__.py",)) == []


def test_the_gateway_has_its_own_rooms() -> None:
    assert missing("gateway", GATEWAY) == []


@pytest.mark.parametrize("folder", DIALECTS, ids=lambda folder: str(folder.name))
def test_every_dialect_has_the_same_files(folder: Path) -> None:
    assert [name for name in DIALECT if not (folder / name).is_file()] == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_tells_itself_on_one_screen(service: str) -> None:
    readme = ROOT / "services" / service / "README.md"
    assert readme.is_file(), f"services/{service}/README.md is missing: owns, hears, says, keeps, fails how"
    text = readme.read_text()
    assert len(text.splitlines()) <= 60
    assert [word for word in HEADINGS if word not in text.lower()] == []


def test_nothing_runs_on_import() -> None:
    """A module holds names; only `if __name__ == "__main__"` may call something for its effect."""
    loud = [
        f"{source.path}:{node.lineno}"
        for source in product()
        if not source.path.endswith("__main__.py")
        for node in source.tree.body
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    ]
    assert loud == []


def test_no_folder_beside_the_rooms_in_services() -> None:
    assert sorted(folder.name for folder in (ROOT / "services").iterdir() if folder.is_dir()) == sorted(SERVICES)
