"""Somebody with a token who asks one thing after another on one connection."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from bench.bare import SECRET, token
from trunkline.testing.stack import Stack

WITHIN: Final = 20.0
SIGNED: Final = {"ORCHESTRATOR_JWT_SECRET": SECRET, "TRUNKLINE_RATE_LIMITS": "off"}
"""What a stack must be told for it."""


@dataclass(frozen=True, slots=True)
class Person:
    line: http.client.HTTPConnection
    role: str

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token(self.role)}", "Content-Type": "application/json", "Accept": "application/json"}
        self.line.request(method, path, "{}" if method == "POST" else None, headers)
        answer = self.line.getresponse()
        return answer.status, json.loads(answer.read())


@contextmanager
def person(running: Stack, role: str) -> Iterator[Person]:
    line = http.client.HTTPConnection("127.0.0.1", running.port, timeout=WITHIN)
    try:
        yield Person(line, role)
    finally:
        line.close()
