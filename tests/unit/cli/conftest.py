"""A desk behind a real port, and the command line that talks to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.cli.desk import TOKEN, Desk
from tests.unit.cli.served import Served
from trunkline_cli.__main__ import main
from trunkline_cli.sockets import free_port

Trunkline = Callable[..., tuple[int, str, str]]


@pytest.fixture
def desk() -> Iterator[Desk]:
    found, port = Desk(), free_port()
    with Served(found.app(), port):
        found.url = f"http://127.0.0.1:{port}"
        yield found


@pytest.fixture
def trunkline(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Trunkline:
    """A command with a credential: its exit code, what it printed, what it said beside."""
    monkeypatch.setenv("TRUNKLINE_TOKEN", TOKEN)

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--url", desk.url, "--data-dir", str(tmp_path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run
