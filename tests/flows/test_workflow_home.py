"""The whole circle: a dispatch, a workflow run at GitHub, our own program in it that calls home, people who answer, and the end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.flows.cutting import way
from tests.flows.hub import hub
from tests.flows.workflow import Workflow
from trunkline.testing.fake_github import FakeGitHub
from trunkline.testing.repositories import branches, make_bare, read_files
from trunkline.testing.stack import ONE_PROCESS, Stack, stack
from trunkline_cli.__main__ import main

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

ANN, SECRET = "a-key-of-ann-with-thirty-two-characters", "a secret that signs what GitHub tells"
REPO = "acme/shop"
WITHIN = 20.0


@dataclass(frozen=True)
class House:
    """A stack, a GitHub beside it, and what its workflows do."""

    stack: Stack
    github: FakeGitHub
    workflow: Workflow

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """On any surface, as Ann."""
        answer = requests.request(method, self.stack.url + path, json=body, headers={"X-API-Key": ANN}, timeout=10)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def dispatch(self, prompt: str, **more: str) -> dict[str, Any]:
        owner, repo = REPO.split("/")
        return dict(self.ask("POST", "/api/v1/github/dispatches", {"owner": owner, "repo": repo, "prompt": prompt, **more}))

    def instance(self, id: str) -> dict[str, Any]:
        return dict(self.ask("GET", f"/api/v1/agent-instances/{id}"))

    def until(self, id: str, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        return sooner(lambda: self.instance(id), fits)

    def run(self, id: str, *conclusions: str) -> dict[str, Any]:
        """The run of an instance as we list it, once it is concluded in one of these ways."""
        owner, repo = REPO.split("/")

        def listed() -> dict[str, Any]:
            runs = self.ask("GET", f"/api/v1/github/runs?owner={owner}&repo={repo}")["workflow_runs"]
            return next((run for run in runs if run["agent_instance_id"] == id), {})

        return sooner(listed, lambda run: run.get("conclusion") in conclusions)


def sooner(look: Callable[[], dict[str, Any]], fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + WITHIN
    while not fits(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def texts(view: dict[str, Any]) -> str:
    return "\n".join(f"{message['sender_type']}: {message['content']}" for message in view["messages"])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    forge = tmp_path_factory.mktemp("hub")
    make_bare(forge, REPO, {"README.md": "A shop.\n"})
    with hub(forge) as github:
        told = {
            "ORCHESTRATOR_API_KEY_ANN": f"{ANN}:agent",
            "GITHUB_API_URL": github.api_url,
            "GITHUB_TOKEN": github.user_token(REPO),
            "GITHUB_WEBHOOK_SECRET": SECRET,
        }
        with stack(told, *ONE_PROCESS) as started:
            workflow = Workflow(tmp_path_factory.mktemp("runs"), forge, started.url)
            github.actions.programs = workflow
            github.actions.tell(f"{started.url}/api/v1/github/webhooks", SECRET.encode())
            yield House(started, github, workflow)


def test_an_agent_is_started_works_and_ends_and_its_work_is_pushed(house: House) -> None:
    asked = house.dispatch("mend the README", branch_name="fix/readme", agent_type="claude")
    view = house.until(asked["agent_instance_id"], lambda view: view["status"] == "COMPLETED")
    assert "AGENT: My task: mend the README\nDone." in texts(view)
    assert "+Mended; ::error::is no command." in view["git_diff"]
    run = house.run(asked["agent_instance_id"], "success")
    forge = house.workflow.forge / f"{REPO}.git"
    assert read_files(forge, "fix/readme")["README.md"].startswith(b"Mended")
    assert branches(forge)["main"] != branches(forge)["fix/readme"]
    log = house.workflow.logs[run["id"]]
    assert "::stop-commands::" in log.split("My task")[0], "nothing that an agent prints commands the runner"


def test_it_asks_and_somebody_answers_from_the_command_line(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--url", house.stack.url, "--data-dir", str(house.stack.folder / "data")]
    assert main(["dispatch", REPO, "--prompt", "ask for a colour", "--id", "gh-acme-shop-7", "--branch", "colour", *there]) == 0
    id = capsys.readouterr().out.splitlines()[0]
    operator = (house.stack.folder / "data" / "operator.key").read_text().strip()

    def look() -> dict[str, Any]:
        return dict(house.stack.ask("GET", f"/api/v1/agent-instances/{id}", bearer=operator)[1])

    sooner(look, lambda view: view["status"] == "AWAITING_INPUT")
    assert main(["messages", "gh-acme-shop-7", "--json", *there]) == 0
    assert json.loads(capsys.readouterr().out)["messages"][-1]["content"] == "Which colour?"
    assert main(["reply", id, "teal", *there]) == 0
    view = sooner(look, lambda view: view["status"] == "COMPLETED")
    assert "AGENT: Which colour?\nUSER: teal\nAGENT: Done." in texts(view)
    assert read_files(house.workflow.forge / f"{REPO}.git", "colour")["colour.txt"] == b"teal"


def test_an_agent_that_fails_fails_its_task_and_its_run_and_nothing_is_pushed(house: House) -> None:
    asked = house.dispatch("fail at it", branch_name="never")
    view = house.until(asked["agent_instance_id"], lambda view: view["status"] == "FAILED")
    assert "AGENT: The agent ended with exit code 3." in texts(view)
    assert house.run(asked["agent_instance_id"], "failure", "cancelled")["conclusion"] == "failure", "it ends by itself, and says how"
    task = house.ask("GET", f"/tasks/{asked['task_id']}")["task"]
    assert task["status"] == "failed"
    assert "never" not in branches(house.workflow.forge / f"{REPO}.git")


def test_a_task_that_is_cancelled_cancels_its_run_and_stops_the_agent(house: House) -> None:
    asked = house.dispatch("stay forever")
    id = asked["agent_instance_id"]
    house.until(id, lambda view: "My task" in texts(view))
    house.ask("POST", f"/tasks/{asked['task_id']}/cancel", {"reason": "no longer wanted"})
    house.run(id, "cancelled")
    assert house.until(id, lambda view: view["status"] == "KILLED")
    (key,) = house.ask("GET", f"/api/v1/agent-instances/{id}/keys")["keys"]
    assert key["revoked_at"], "its key opens nothing any more"


def test_a_run_that_is_cancelled_at_github_cancels_its_task(house: House) -> None:
    asked = house.dispatch("stay forever")
    id = asked["agent_instance_id"]
    house.until(id, lambda view: "My task" in texts(view))
    run = house.github.actions.newest(REPO)
    cancel = f"{house.github.api_url}/repos/{REPO}/actions/runs/{run['id']}/cancel"
    token = house.github.user_token(REPO)
    assert requests.post(cancel, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code == 202
    house.until(id, lambda view: view["status"] == "KILLED")
    sooner(lambda: house.ask("GET", f"/tasks/{asked['task_id']}")["task"], lambda task: task["status"] == "cancelled")


def test_answers_that_are_lost_on_the_way_home_change_nothing(house: House) -> None:
    with way(house.stack.port) as broken:
        broken.answers_to_cut, house.workflow.url = 2, broken.url
        try:
            asked = house.dispatch("say it once")
            view = house.until(asked["agent_instance_id"], lambda view: view["status"] == "COMPLETED")
        finally:
            house.workflow.url = house.stack.url
        house.run(asked["agent_instance_id"], "success")
    assert broken.cuts == 2
    assert texts(view) == "AGENT: My task: say it once\nDone.\nAGENT: The agent is done."


def test_the_guides_filter_finds_our_dispatches_in_our_own_listing(house: House) -> None:
    asked = house.dispatch("say nothing")
    house.run(asked["agent_instance_id"], "success")
    listed = house.ask("GET", "/api/v1/github/runs?owner=acme&repo=shop")
    found = [run for run in listed["workflow_runs"] if run["event"] == "repository_dispatch"]
    mine = next(run for run in found if run["agent_instance_id"] == asked["agent_instance_id"])
    theirs = house.github.actions.find(mine["id"])
    assert len(found) == listed["total_count"]
    assert {name: mine[name] for name in ("display_title", "status", "conclusion", "html_url")} == {
        name: theirs[name] for name in ("display_title", "status", "conclusion", "html_url")
    }
    assert [attempt["outcome"] for attempt in mine["dispatch"]["attempts"]][-1] == "accepted"


def test_a_key_opens_its_own_instance_and_is_printed_nowhere(house: House) -> None:
    first, second = (house.dispatch(prompt)["agent_instance_id"] for prompt in ("stay forever, one", "stay forever, two"))
    for id in (first, second):
        house.until(id, lambda view: "My task" in texts(view))
    sent = next(each for each in house.github.actions.sent if each.payload["agent_instance_id"] == first)
    key = sent.payload["omnara_api_key"]
    stolen = {"agent_instance_id": second, "content": "I am the other"}
    assert house.stack.ask("POST", "/api/v1/messages/agent", stolen, key)[0] == 400
    assert house.stack.ask("GET", f"/api/v1/agent-instances/{second}", bearer=key)[0] == 404
    assert house.stack.ask("GET", f"/api/v1/agent-instances/{first}", bearer=key)[0] == 200
    assert house.stack.ask("GET", "/tasks", bearer=key)[0] in (401, 403)
    for id in (first, second):
        house.ask("PUT", f"/api/v1/agent-instances/{id}/status", {"status": "killed"})
    house.run(first, "cancelled")
    assert key not in house.stack.log()
    assert all(key not in log.replace(f"::add-mask::{key}", "") for log in house.workflow.logs.values())
    assert [path for path in (house.stack.folder / "data").rglob("*") if key.encode() in kept(path)] == []


def kept(path: Path) -> bytes:
    """What lies in a file; nothing where it is none, or gone by now, as those that nats-server writes anew."""
    try:
        return b"" if path.is_symlink() or path.is_dir() else path.read_bytes()
    except OSError:
        return b""
