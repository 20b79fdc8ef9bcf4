"""The real omnara client for tests, in a process of its own: it is on no path of ours."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(sys.prefix) / "omnara"
"""Where `make setup` puts it."""
SPOKEN = Path(__file__).parent / "clients" / "omnara_spoken.py"
WITHIN = 30.0
needs_omnara = pytest.mark.skipif(not (HERE / "omnara").is_dir(), reason="the real omnara client is not here (`make setup` brings it)")


class Refused(Exception):
    """What the client raised: its own kind of error, and GitHub-like status and detail where it has them."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(told["text"])
        self.kind, self.status, self.detail = told["error"], told["status"], told["detail"]


@dataclass
class Sdk:
    """One client. Calls are answered in the order in which they were begun."""

    process: subprocess.Popen[str]
    _lines: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)

    def begin(self, name: str, /, **given: Any) -> None:
        """Without waiting for what comes of it."""
        self._write(name, given)

    def begin_at_once(self, name: str, many: Sequence[dict[str, Any]]) -> None:
        """All of them together, as only the async client can; their answers are one answer."""
        self._write(name, many)

    def _write(self, name: str, given: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"name": name, "with": given}) + "\n")
        self.process.stdin.flush()

    def answer(self, within: float = WITHIN) -> Any:
        """Of the first call that was begun and not asked for yet. Raises Refused, queue.Empty."""
        told = self._lines.get(timeout=within)
        if "error" in told:
            raise Refused(told)
        return told.get("answer", told)

    def call(self, name: str, /, **given: Any) -> Any:
        """Raises Refused."""
        self.begin(name, **given)
        return self.answer()

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))


@contextmanager
def sdk(kind: str, url: str, key: str, **options: Any) -> Iterator[Sdk]:
    """`kind`: sync or async."""
    given = {"api_key": key, "base_url": url, **options}
    environment = {**os.environ, "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, str(SPOKEN), kind, json.dumps(given)], env=environment, stdin=pipe, stdout=pipe, text=True
    ) as process:  # fmt: skip
        spoken = Sdk(process)
        threading.Thread(target=spoken.listen, daemon=True).start()
        try:
            assert spoken.answer()["version"] == "1.7.0"
            yield spoken
        finally:
            process.kill()
