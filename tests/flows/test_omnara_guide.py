"""The Python samples of the omnara guide, as it prints them, against our fake GitHub: what they send is what our own dispatch sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.flows.hub import hub
from trunkline.testing.fake_github import App, FakeGitHub
from trunkline.testing.repositories import make_bare

pytestmark = pytest.mark.flow
SAMPLE = Path(__file__).parent / "clients" / "omnara_guide.py"
REPO, INSTALLATION = "acme/shop", 77
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
PUBLIC = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
WISH = {"agent_instance_id": "gh-acme-shop-issue-1", "prompt": "Mend it", "omnara_api_key": "omni_key_of_theirs"}


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeGitHub]:
    forge = tmp_path_factory.mktemp("hub")
    make_bare(forge, REPO, {"README.md": "A shop.\n"})
    with hub(forge, App("12345", PUBLIC, {"acme": INSTALLATION})) as served:
        yield served


def said(github: FakeGitHub, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, str(SAMPLE)], input=json.dumps(calls), env={**os.environ, "BASE": github.api_url},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_workflow_is_triggered_with_an_installations_token_and_found_among_its_runs(github: FakeGitHub) -> None:
    place = {"owner": "acme", "repo": "shop"}
    (token,) = said(github, ("token", {"app_id": "12345", "private_key": PRIVATE, "installation_id": INSTALLATION}))
    with_token = {**place, "installation_token": token}
    answers = said(
        github,
        ("trigger", {**with_token, **WISH}),
        ("runs", with_token),
        ("trigger", {**place, **WISH, "installation_token": "ghs_made_up"}),
    )
    triggered, runs, refused = answers
    assert triggered == {"success": True, "message": "Workflow triggered successfully"}
    assert [run["display_title"] for run in runs] == ["omnara gh-acme-shop-issue-1"]
    assert not refused["success"] and "401" in refused["error"]
    first = github.steps("dispatch")[0].body
    assert set(first["client_payload"]) == {"agent_instance_id", "prompt", "omnara_api_key", "branch_name", "agent_type"}
    assert (first["event_type"], first["client_payload"]["branch_name"]) == ("omnara_trigger", "main")
