"""Knowledge jobs in the whole product: in the sandbox of a user, side by side, with what they are told on their standard input.

Whatever is killed at whatever moment of one: the agent works once, and the channel says everything once and in order. A few moments
for every change; with `TRUNKLINE_KILLS=all` every service, and nats-server, at every side of every moment.
"""

from __future__ import annotations

import hmac
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests.flows.channel import Hearer
from tests.flows.jobs import ACTING, until
from tests.flows.talkers import SECRET, person
from trunkline.runtime.faults import NAMED, SIDES
from trunkline.testing import warm
from trunkline.testing.stack import SERVICES, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.timeout(120)]

HOOK = "the secret that GitHub signs with"
ENVIRONMENT = {
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": ACTING,
    "TRUNKLINE_DEV": "true",
    "ORCHESTRATOR_JWT_SECRET": SECRET,
    "GITHUB_WEBHOOK_SECRET": HOOK,
}
PATIENCE = 60.0
WAITS = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.02)\nprint('went')\n"
ORDER = [*["log"] * 7, "result", "done"]
POINTS = [("sandbox_made" if (moment, side) == ("entered", "after_record") else moment) + f".{side}" for moment in NAMED for side in SIDES]
"""Who enters a sandbox records what who makes one does."""
KILLS = [(point, victim) for point in POINTS for victim in ("self", "nats-server", *SERVICES)]
FEW = [("accepted.after_effect", "gateway"), ("checked.after_effect", "relay"), ("agent_running.after_effect", "self")]
WORKS = "import os\nopen('worked', 'a').write(os.environ['OMNI_NAME'] + ' ')\nprint('it is about trees')\n"


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT) as running:
        yield running


@dataclass
class Asked:
    """A job, and what its channel says."""

    running: Stack
    task: str
    answer: dict[str, Any]

    def results(self) -> dict[str, Any]:
        status, said = self.running.ask("GET", f"/api/task/results?taskId={self.task}")
        assert status == 200, said
        return dict(said)

    def until(self, word: str) -> dict[str, Any]:
        """Until a message has this word in it."""
        deadline = time.monotonic() + PATIENCE
        while word not in str((said := self.results())["results"]):
            assert time.monotonic() < deadline and not said["done"], said
            time.sleep(0.05)
        return said

    def over(self) -> list[dict[str, Any]]:
        """The messages of the topic `update`, once there are no more."""
        deadline = time.monotonic() + PATIENCE
        while not (said := self.results())["done"]:
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        assert said["status"] == "DONE", said
        return [told["message"] for told in said["results"]]


@dataclass
class User:
    running: Stack
    name: str = field(default_factory=lambda: f"user/{uuid4()}")
    sandbox: str = ""
    provider: str = ""

    def ready(self) -> User:
        _, said = self.running.ask("POST", "/api/sandbox/create", {"userId": self.name, "provider": self.provider})
        self.sandbox = said["sandboxId"]
        deadline = time.monotonic() + PATIENCE
        while (said := self.running.ask("GET", f"/api/sandbox/status?id={self.sandbox}")[1])["status"] != "ready":
            assert time.monotonic() < deadline, said
            time.sleep(0.02)
        return self

    def asks(self, code: str, **more: Any) -> Asked:
        task = str(uuid4())
        body = {"input": code, "sandboxId": self.sandbox, "userId": self.name, "taskId": task, **more}
        status, said = self.running.ask("POST", "/api/knowledge/process", body)
        assert status == 202, said
        return Asked(self.running, task, said)

    def does(self, verb: str) -> None:
        status, said = self.running.ask("POST", f"/api/sandbox/{verb}", {"sandboxId": self.sandbox})
        assert status == 200, said


@pytest.fixture(scope="module")
def ann(running: Stack) -> User:
    return User(running).ready()


def texts(said: list[dict[str, Any]]) -> list[str]:
    return [message["data"] for message in said if message["type"] in ("log", "result")]


def test_a_job_is_told_in_the_documents_order_and_leaves_its_files_to_the_next(ann: User) -> None:
    show = "import os; open('kept', 'w').write('a'); print(os.environ['USER_ID'], os.environ['OMNI_A'], os.environ['TRUNKLINE_MODEL'])"
    asked = ann.asks(show, env={"OMNI_A": "$(id); x"}, model="haiku")
    said = asked.over()
    assert [message["type"] for message in said] == ORDER
    assert {message["jobId"] for message in said} == {asked.answer["jobId"]}
    logs = texts(said)
    assert logs[0] == f"Job {asked.answer['jobId']} started"
    assert logs[1:3] == [f"Using sandbox {ann.sandbox}...", "Checking the agent, its key and its model..."]
    assert logs[3].startswith("The program of command is there: ")
    assert (said[-2]["format"], said[-2]["data"], said[-1]["exitCode"]) == ("text", f"{ann.name} $(id); x haiku", 0)
    assert "a" in texts(ann.asks("print(open('kept').read())").over())
    assert asked.results()["sessionId"] == ann.sandbox


def test_nothing_of_a_job_is_left_in_the_sandbox_but_its_files(ann: User) -> None:
    ann.asks("open('left', 'w').close()\nraise SystemExit(1)").over()
    box = ann.running.folder / "data" / "sandbox" / "boxes" / ann.sandbox
    until(lambda: not [*(box / "runs").iterdir(), *(box / "shown").iterdir()], 30, "something is left")
    assert (box / "box" / "workspace" / "left").exists()


def test_jobs_work_side_by_side_and_one_is_cancelled_alone(ann: User) -> None:
    first, second = ann.asks(f"print('one here', flush=True)\n{WAITS}"), ann.asks(f"print('two here', flush=True)\n{WAITS}")
    first.until("one here")
    second.until("two here")
    cancelled(first.running, 1)
    assert [message["type"] for message in first.over()][-2:] == ["error", "done"]
    ann.asks("open('go', 'w')").over()
    assert second.over()[-2]["data"] == "went"


def cancelled(running: Stack, place: int) -> None:
    """The task that is so many places behind the newest."""
    root = person(running, "root", "admin")
    status, page = root.ask("GET", "/tasks?type=knowledge&limit=5")
    assert status == 200, page
    status, said = root.ask("POST", f"/tasks/{page['tasks'][place]['task_id']}/cancel", {"reason": "no longer wanted"})
    assert status < 300, said


def test_a_sandbox_that_was_stopped_is_started_for_the_job(ann: User) -> None:
    ann.does("stop")
    assert ann.asks("print('again')").over()[-2]["data"] == "again"


def test_an_agent_that_fails_is_an_error_and_then_done(ann: User) -> None:
    error, done = ann.asks("raise SystemExit(3)").over()[-2:]
    assert (error["type"], error["code"], done["type"], done["exitCode"]) == ("error", "CLAUDE_COMMAND_FAILED", "done", 1)


def test_a_job_is_merged_when_a_pull_request_is_that_names_it(ann: User) -> None:
    asked = ann.asks("import os; print(os.environ['TRUNKLINE_TASK'])")
    task = asked.over()[-2]["data"]
    merged(ann.running, f"By the agent.\n\nTrunkline-Task: {task}\n")
    until(lambda: asked.results()["status"] == "MERGED", 30, "it is not merged")


def merged(running: Stack, text: str) -> None:
    """As GitHub tells it."""
    pull = {"number": 7, "merged": True, "body": text, "merged_by": {"login": "ann"}, "head": {"ref": "b"}, "base": {"ref": "main"}}
    people = {"repository": {"full_name": "acme/shop", "default_branch": "main"}, "sender": {"login": "ann", "type": "User"}}
    body = json.dumps({"action": "closed", "pull_request": pull, **people}).encode()
    mark = hmac.new(HOOK.encode(), body, "sha256").hexdigest()
    headers = {"X-GitHub-Event": "pull_request", "X-GitHub-Delivery": str(uuid4()), "X-Hub-Signature-256": f"sha256={mark}"}
    answer = requests.post(
        f"{running.url}/api/v1/github/webhooks", data=body, headers={**headers, "Content-Type": "application/json"}, timeout=20
    )
    assert answer.status_code < 300, answer.text


def test_a_job_goes_on_when_whoever_carries_it_dies(ann: User) -> None:
    asked = ann.asks(f"import os\nif os.path.exists('go'): os.remove('go')\nprint('still here', flush=True)\n{WAITS}")
    asked.until("still here")
    ann.running.kill("sandbox")
    ann.running.await_ready()
    ann.asks("open('go', 'w')").over()
    said = texts(asked.over())
    assert said[-1] == "went"
    assert len(said) == len(set(said[:-1])) + 1, "everything is said once"


@contextmanager
def second_service(running: Stack, environment: Mapping[str, str]) -> Iterator[Path]:
    """A second sandbox service beside those of the stack; its data directory."""
    secrets = json.loads((running.folder / "data" / "nats" / "secrets.json").read_text())
    url, folder = f"nats://127.0.0.1:{secrets['clients']}", running.folder / "second"
    said = {"TRUNKLINE_NATS_URL": url, "TRUNKLINE_NATS_USER": "control", "TRUNKLINE_NATS_PASSWORD": secrets["control"]}
    words = ["trunkline_cli", "serve", "sandbox", "--data-dir", str(folder), "--accept-unsafe-nats"]
    with (running.folder / "second.log").open("ab") as log:
        process = warm.start(words, {**os.environ, **environment, **said}, log, running.folder)
    try:
        until(lambda: b"is ready" in (running.folder / "second.log").read_bytes(), 30, "the second service does not come up")
        yield folder
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def another_site(running: Stack) -> Iterator[str]:
    """Where a second sandbox service keeps its sandboxes, in a directory of its own."""
    with second_service(running, ENVIRONMENT) as folder:
        yield (folder / "sandbox" / "boxes" / ".site").read_text()


def test_a_job_is_done_at_the_site_that_keeps_its_sandbox(running: Stack, another_site: str) -> None:
    far = None
    while far is None:
        running.kill("sandbox")  # whoever hears a wish first makes it, and that is the other one as long as it is alone
        user = User(running).ready()
        running.await_ready()
        _, listed = running.ask("GET", f"/api/sandbox/list?id={user.sandbox}")
        far = user if listed["sandboxes"][0]["site"] == another_site else None
    near = User(running).ready()
    for note in ("x", "xx"):
        jobs = [who.asks("open('note', 'a').write('x')\nprint(open('note').read())") for who in (far, near)]
        assert [texts(job.over())[-1] for job in jobs] == [note, note]


def test_a_sandbox_that_goes_while_a_job_works_in_it_ends_the_job(running: Stack) -> None:
    bob = User(running).ready()
    for verb in ("stop", "delete"):
        asked = bob.asks(f"print('at work', flush=True)\n{WAITS}")
        asked.until("at work")  # not before the agent is: a job whose sandbox is stopped until then starts it again
        bob.does(verb)
        error, done = asked.over()[-2:]
        assert (error["code"], done["exitCode"]) == ("EXECUTION_ERROR", 1), error
        status, standing = running.ask("GET", f"/api/sandbox/status?id={bob.sandbox}")
        assert (status, standing.get("status")) == ((200, "stopped") if verb == "stop" else (404, None)), "nobody started it again"


def test_a_ticket_counts_no_more_when_the_token_is_revoked_that_it_was_got_with(running: Stack) -> None:
    eve, root = person(running, "eve", "user"), person(running, "root", "admin")
    status, said = eve.ask("POST", "/v1/realtime/token", [{"channel": "tasks", "name": "update", "kind": "run"}])
    assert status == 201, said
    address = f"{running.url}/v1/realtime/sse?token={said['jwt']}"
    with requests.get(address, stream=True, timeout=20) as stream:
        assert stream.status_code == 200
        status, _ = root.ask("POST", "/auth/revoke", {"token": eve.headers["Authorization"].removeprefix("Bearer ")})
        assert status == 200
        began = time.monotonic()
        with suppress(requests.exceptions.ChunkedEncodingError):
            stream.content  # noqa: B018  # all that comes, to the end
        assert time.monotonic() - began < 8, "it heard on until its next sign of life"
    until(lambda: asked(address) == (401, "TOKEN_REVOKED"), 20, "the gateway does not know of it")


def asked(address: str) -> tuple[int, str]:
    with requests.get(address, stream=True, timeout=20) as answer:
        return answer.status_code, "" if answer.ok else answer.json()["error"]["code"]


@pytest.fixture(scope="module")
def hearer(ann: User) -> Iterator[Hearer]:
    hearer = Hearer(ann.running.url).start()
    yield hearer
    hearer.stop()


@pytest.mark.kill
@pytest.mark.timeout(150)
@pytest.mark.parametrize(("point", "victim"), KILLS if os.environ.get("TRUNKLINE_KILLS") == "all" else FEW, ids=lambda word: str(word))
def test_a_kill_repeats_no_work_and_no_word(ann: User, hearer: Hearer, point: str, victim: str) -> None:
    running, task = ann.running, f"{point}-{victim}"
    running.await_ready()
    running.arm(point, victim)

    job = submitted(ann, task)
    heard = hearer.until_over(task)

    until(lambda: not running.armed(point), 20, "the fault point was never passed")
    assert [kind(frame) for frame in heard] == ["IN_PROGRESS", *ORDER, "DONE"]
    assert {frame["run_id"] for frame in heard} == {job}
    places = [frame["stream_id"] for frame in heard]
    assert len(set(places)) == len(places)
    assert heard[-3]["data"]["message"]["data"] == "it is about trees"
    running.await_ready()
    told = Asked(running, task, {}).over()
    assert told == [frame["data"]["message"] for frame in heard if frame["topic"] == "update"], "polling says the same"
    worked = running.folder / "data" / "sandbox" / "boxes" / ann.sandbox / "box" / "workspace" / "worked"
    assert worked.read_text().split().count(task) == 1


def submitted(ann: User, task: str) -> str:
    """Its `jobId`. Where the gateway dies with the answer on its tongue, the job is found by its caller's name for it."""
    body = {"input": WORKS, "sandboxId": ann.sandbox, "userId": ann.name, "taskId": task, "env": {"OMNI_NAME": task}}
    try:
        answer = requests.post(f"{ann.running.url}/api/knowledge/process", json=body, timeout=60)
    except requests.ConnectionError:
        return found(ann.running, task)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def found(running: Stack, task: str) -> str:
    said: dict[str, Any] = {}

    def known() -> bool:
        if running.healthy():
            status, answer = running.ask("GET", f"/api/task/results?taskId={task}")
            said.update(answer if status == 200 else {})
        return bool(said)

    until(known, 30, "nobody knows of the job")
    return str(said["jobId"])


def kind(frame: dict[str, Any]) -> str:
    return str(frame["data"]["status"] if frame["topic"] == "status" else frame["data"]["message"]["type"])
