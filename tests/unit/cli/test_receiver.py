"""The receiver of the command line: it believes what is signed, answers the handshake, and tells of nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import requests

from tests.unit.cli.served import Served
from trunkline.sdk.webhooks import WebhookEvent
from trunkline_cli.__main__ import main
from trunkline_cli.receiver import Receiver
from trunkline_cli.sockets import free_port

KEY = b"a key of thirty-two bytes, or so"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Heard:
    url: str = ""
    events: list[WebhookEvent] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard, port = Heard(), free_port()
    receiver = Receiver([SECRET, "the secret before this one"], heard.events.append, heard.doubts.append)
    with Served(receiver.site(), port):
        heard.url = f"http://127.0.0.1:{port}/any/path"
        yield heard


def send(heard: Heard, event: dict[str, object], key: bytes = KEY, at: float | None = None) -> requests.Response:
    """Signed as Standard Webhooks says."""
    body, moment = json.dumps(event).encode(), str(int(at if at is not None else time.time()))
    mark = base64.b64encode(hmac.digest(key, b"dlv_1." + moment.encode() + b"." + body, hashlib.sha256)).decode()
    headers = {"webhook-id": "dlv_1", "webhook-timestamp": moment, "webhook-signature": f"v1,{mark}"}
    return requests.post(heard.url, data=body, headers=headers, timeout=10)


def event(type: str, **data: object) -> dict[str, object]:
    return {"type": type, "timestamp": "2026-01-01T00:00:00Z", "data": data}


def test_the_handshake_is_answered_with_its_challenge(heard: Heard) -> None:
    answer = send(heard, event("webhook.verify", challenge="c-1"))
    assert (answer.status_code, answer.json()["challenge"]) == (200, "c-1")


@pytest.mark.parametrize("key", [KEY, b"the secret before this one"])
def test_what_is_signed_with_either_secret_is_told(heard: Heard, key: bytes) -> None:
    assert send(heard, event("job.completed", task_id="task_1"), key).status_code == 200
    assert [(one.type, one.data["task_id"]) for one in heard.events] == [("job.completed", "task_1")]


def test_what_is_not_genuine_is_refused_and_told_nowhere(heard: Heard) -> None:
    assert send(heard, event("job.completed"), b"another key").status_code == 400
    assert send(heard, event("job.completed"), at=time.time() - 3600).status_code == 400
    assert requests.post(heard.url, data=b"{}", timeout=10).status_code == 400
    assert (heard.events, len(heard.doubts)) == ([], 3)
    assert SECRET not in " ".join(heard.doubts)


def test_without_a_secret_it_does_not_listen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["webhooks", "listen", "--secret-from", "NO_SUCH_VARIABLE_AT_ALL"]) == 2
    assert "NO_SUCH_VARIABLE_AT_ALL" in capsys.readouterr().err
