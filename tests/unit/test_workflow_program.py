"""The program that runs in others' workflows: whatever its agent prints, home takes it, and what home does not take ends no agent."""

from __future__ import annotations

import importlib.util
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "integrations" / "github" / "home.py"
BODY_LIMIT = 256 << 10
"""What a gateway takes at most."""


def loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("workflow_program", PROGRAM)
    assert spec and spec.loader
    made = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


program = loaded()


@dataclass
class Stand:
    """Somebody at home, who may refuse what is said."""

    url: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    refuses: bool = False

    def said(self) -> list[str]:
        return [body["content"] for path, body in self.calls if path == "/api/v1/messages/agent"]


@pytest.fixture
def stand() -> Iterator[Stand]:
    here = Stand()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            here.bodies.append(len(raw))
            here.calls.append((self.path, json.loads(raw)))
            refused = here.refuses and self.path.endswith(("/messages/agent", "/run"))
            text = json.dumps({"detail": "it is full"} if refused else {"message_id": "m", "queued_user_messages": []}).encode()
            self.send_response(400 if refused else 200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_PUT = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        here.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield here
        server.shutdown()


def held(stand: Stand, code: str, *, talk: bool = False) -> None:
    """An agent of that Python code prints all that it has to say."""
    home = program.Home(stand.url, "i", "k", tries=1)
    agent = program.Agent.start(f"{sys.executable} -c {json.dumps(code)}", "task", {}, talk)
    try:
        program.Conversation(home, agent, threading.Event()).hold()
    finally:
        agent.stop()


@pytest.mark.parametrize("letter", ["\\x1b", "\\u2588", "\\U0001f98a"])
def test_whatever_an_agent_prints_fits_into_what_home_takes(stand: Stand, letter: str) -> None:
    lines = "19999, 19999, 60000, 5"
    held(stand, f"import sys; sys.stdout.reconfigure(encoding='utf-8'); [print('{letter}' * size) for size in ({lines})]")
    assert max(stand.bodies) <= BODY_LIMIT
    assert sum(map(len, stand.said())) >= 100_000


def test_what_home_does_not_take_is_left_out_and_the_agent_goes_on(stand: Stand) -> None:
    stand.refuses = True
    held(stand, "print('one')")
    with pytest.raises(program.Refused, match="it is full"):
        held(stand, "print('?? Which?')", talk=True)


def test_an_agent_works_though_home_knows_its_repository_by_another_name(stand: Stand) -> None:
    stand.refuses = True
    program.tell_run(program.Home(stand.url, "i", "k"), {"GITHUB_REPOSITORY": "acme/store", "GITHUB_RUN_ID": "7"})
    ((path, told),) = stand.calls
    assert (path, told["run_id"], told["repository"]) == ("/api/v1/agent-instances/i/run", 7, "acme/store")


def test_why_it_went_wrong_is_said_before_that_it_failed(stand: Stand) -> None:
    program.last_word(program.Home(stand.url, "i", "k"), "FAILED", "git push failed")
    assert [path for path, _ in stand.calls] == ["/api/v1/messages/agent", "/api/v1/agent-instances/i/status"]
    stand.refuses = True
    program.last_word(program.Home(stand.url, "i", "k"), "FAILED", "git push failed")
    assert stand.calls[-1] == ("/api/v1/agent-instances/i/status", {"status": "FAILED"})
