"""The row `named`: a named sandbox on this machine, from the request to create it until a client is told that it is ready."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from bench.figures import Figure, at
from bench.plan import Plan
from bench.watching import real_stack
from trunkline.testing.stack import Stack

LOOK: Final = 0.005
"""Seconds between two looks of a client that cannot wait."""
WITHIN: Final = 60.0
FILES: Final = 60
"""In the image, of two KiB each."""


def measure(plan: Plan) -> list[Figure]:
    times = 3 if plan.quick else 40
    with tempfile.TemporaryDirectory(prefix="tlb-") as folder:
        image = _image(Path(folder))
        return [
            *_figures(plan, "with nothing in it", times, {}),
            *_figures(plan, f"with an image of {FILES} files", times, {"TRUNKLINE_SANDBOX_DOCKERFILE": str(image)}),
        ]


def _image(folder: Path) -> Path:
    (folder / "tree").mkdir()
    for number in range(FILES):
        (folder / "tree" / f"file-{number}").write_text("0123456789abcde\n" * 128)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY tree /workspace/tree\n")
    return folder / "Dockerfile"


def _figures(plan: Plan, what: str, times: int, settings: dict[str, str]) -> list[Figure]:
    with real_stack("true", **settings) as running:
        _made(running, "warm-up")
        took = []
        for number in range(times):
            plan.say(f"named: {what} {number + 1}")
            took.append(_made(running, f"user-{number}"))
    return [
        Figure(f"create {what} until it is ready, p50", at(took, 0.5), "ms", "<= 50"),
        Figure(f"create {what} until it is ready, p95", at(took, 0.95), "ms"),
    ]


def _made(running: Stack, user: str) -> float:
    """Milliseconds. The sandbox is deleted afterwards. Raises RuntimeError when it does not become ready."""
    client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=WITHIN)
    try:
        began = time.perf_counter()
        sandbox = _ask(running, client, "POST", "/api/sandbox/create", {"userId": user})
        while sandbox["status"] != "ready":
            if sandbox["status"] == "error" or time.perf_counter() - began > WITHIN:
                raise RuntimeError(f"the sandbox is {sandbox}")
            time.sleep(LOOK)
            sandbox = _ask(running, client, "GET", f"/api/sandbox/status?id={sandbox['sandboxId']}")
        took = (time.perf_counter() - began) * 1000
        _ask(running, client, "POST", "/api/sandbox/delete", {"sandboxId": sandbox["sandboxId"]})
        return took
    finally:
        client.close()


def _ask(running: Stack, client: http.client.HTTPConnection, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    key = (running.folder / "data" / "operator.key").read_text().strip()
    client.request(method, path, json.dumps(body) if body else None, {"X-API-Key": key, "Content-Type": "application/json"})
    answer = client.getresponse()
    told: dict[str, Any] = json.loads(answer.read())
    if answer.status != 200:
        raise RuntimeError(f"{path} answered {answer.status}: {told}")
    return told
