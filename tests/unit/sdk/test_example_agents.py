"""The example agents do what they say: with real git, a real service that is ill, and real files; only the control plane is in memory."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web

from tests.architecture.source import ROOT
from trunkline.sdk.testkit import Kit, run

EXAMPLES = ROOT / "examples" / "agents"
TEXT = "one  \n\ntwo\t\r\n\n\n"


def example(path: str) -> ModuleType:
    """As Python imports it."""
    file = EXAMPLES / path
    spec = importlib.util.spec_from_file_location(f"example_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def git(place: Path, *words: str) -> str:
    said = subprocess.run(["git", "-C", str(place), *words], capture_output=True, text=True, check=True, timeout=20)
    return said.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A bare one with an untidy text, a tidy one and a picture."""
    bare, clone = tmp_path / "notes.git", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    for name, body in (("a.md", TEXT.encode()), ("b.md", b"fine\n"), ("c.bin", b"\0  \n")):
        (clone / name).write_bytes(body)
    git(clone, "checkout", "--quiet", "-B", "main")
    git(clone, "add", ".")
    git(clone, "-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "--quiet", "-m", "begun")
    git(clone, "push", "--quiet", "origin", "main")
    return bare


async def test_the_dev_agent_pushes_a_branch_that_somebody_allowed(repository: Path) -> None:
    async with Kit(example("dev/tidy.py").agent) as kit:
        task = kit.submit("refactor", {"repository": f"file://{repository}", "push": True})
        question = await task.question()
        assert (question.words, question.about) == (f"Push tidy/{task.task_id}?", {"files": ["a.md"]})
        question.approve()
        await task.over()
    assert task.result == {"files": 1, "outcome": "branch", "branch": f"tidy/{task.task_id}"}
    assert "-one  " in task.artifacts["tidy.patch"].text
    assert git(repository, "show", f"tidy/{task.task_id}:a.md") == "one\n\ntwo\n"
    assert git(repository, "show", "main:a.md").startswith("one  ")


def test_the_dev_agent_leaves_a_patch_where_nothing_is_to_be_pushed(repository: Path) -> None:
    task = run(example("dev/tidy.py").agent, "refactor", {"repository": f"file://{repository}"})
    assert (task.result, task.texts) == ({"files": 1, "outcome": "patch", "branch": ""}, ["tidied a.md"])
    assert git(repository, "branch", "--list", "tidy/*") == ""


def test_the_dev_agent_says_what_git_complains_of(tmp_path: Path) -> None:
    task = run(example("dev/tidy.py").agent, "refactor", {"repository": f"file://{tmp_path}/none"}, max_retries=0)
    assert task.status == "failed" and "git clone" in task.error and "none" in task.error


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for release in ("1.4", "1.5"):
        (tmp_path / "api" / release).mkdir(parents=True)
    (tmp_path / "api" / "current").symlink_to("1.5")
    monkeypatch.setenv("OPS_RELEASES", str(tmp_path))
    return tmp_path / "api" / "current"


@pytest.mark.parametrize(("allowed", "outcome", "release"), [(True, "rolled_back", "1.4"), (False, "left_ill", "1.5")])
async def test_the_ops_agent_rolls_back_what_is_ill_if_somebody_allows_it(
    releases: Path, allowed: bool, outcome: str, release: str
) -> None:
    async with ServedIll() as url, Kit(example("ops/watchman.py").agent) as kit:
        deployment = {"service": "api", "health_url": url, "previous": "1.4", "looks": 2, "pause_s": 0.01}
        task = kit.submit("monitoring", deployment)
        question = await task.question()
        assert question.words == "Roll api back to 1.4?"
        assert question.about["from"] == "1.5"
        question.approve() if allowed else question.reject("not today")
        await task.over()
        assert [event.event_type for event in kit.published] == ["deployment.ill"]
    assert task.result == {"outcome": outcome, "saw": ["it answers 503"] * 2, "release": release}
    assert releases.readlink() == Path(release)


async def test_the_ops_agent_asks_nobody_where_all_is_well(releases: Path) -> None:
    async with ServedIll(200) as url, Kit(example("ops/watchman.py").agent) as kit:
        task = await kit.submit("deployment", {"service": "api", "health_url": url, "previous": "1.4"}).over()
    assert task.result == {"outcome": "healthy", "saw": ["ok"], "release": "1.5"}


class ServedIll:
    """A service whose health has one status."""

    def __init__(self, status: int = 503) -> None:
        self._status = status

    async def __aenter__(self) -> str:
        app = web.Application()
        app.router.add_get("/health", self._health)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        port = self._runner.addresses[0][1]
        return f"http://127.0.0.1:{port}/health"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=self._status)


@pytest.fixture
def faq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "keys.md").write_text("# Keys\n\nAsk.\n\n## How to get an API key\n\nOpen the settings, and press New key.\n")
    (tmp_path / "billing.md").write_text("# Billing\n\nInvoices are sent on the first day of a month.\n\n## Refunds\n\nWrite to us.\n")
    monkeypatch.setenv("FAQ_FOLDER", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("question", "source"),
    [("How do I get an API key?", "keys.md#How to get an API key"), ("When are invoices sent?", "billing.md#Billing"), ("Weather?", "")],
)
def test_the_faq_agent_answers_from_what_is_written(faq: Path, question: str, source: str) -> None:
    task = run(example("faq/librarian.py").agent, "documentation", {"question": question})
    assert task.status == "succeeded"
    assert isinstance(task.result, dict) and task.result["source"] == source


async def test_the_faq_agent_asks_people_for_what_is_not_written_and_knows_it_then(faq: Path) -> None:
    agent = example("faq/librarian.py").agent
    async with Kit(agent) as kit:
        task = kit.submit("faq_update", {"question": "Which browsers are supported?"})
        (await task.question()).answer("Those of the last two years.")
        assert (await task.over()).result["answer"] == "Those of the last two years."
        again = await kit.submit("documentation", {"question": "Are old browsers supported?"}).over()
        assert again.result["answer"] == "Those of the last two years."
