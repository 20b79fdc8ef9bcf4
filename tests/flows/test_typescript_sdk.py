"""The TypeScript SDK on the whole product: jobs followed over broken connections, in Node and in a browser, and what its README shows."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest

from tests import campaigns
from tests.flows.cut_jobs import JOBS, TASKS, Gateway, Job, Tally, calm, token, told_in_parts, world
from tests.flows.reader import history, order
from tests.flows.samples import AGENT, LONG
from tests.flows.typescript import CLIENTS, SDK, Package, built, site
from tests.unit.sdk.cutter import Cutter, cutting
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import ONE_PROCESS, Stack, stack

pytestmark = [pytest.mark.flow, pytest.mark.slow, pytest.mark.timeout(1200 if campaigns.LONG else 300)]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
HEADLESS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
KEY = "a key of thirty-two characters, no less".replace(" ", "-")
README = (SDK / "README.md").read_text()
SHOWN = re.findall(r"^```ts\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return built(tmp_path_factory.mktemp("typescript"))


@pytest.fixture(scope="module")
def running(package: Package) -> Iterator[Stack]:
    settings = {**AGENT, "TRUNKLINE_RATE_LIMITS": "off", "ORCHESTRATOR_API_KEY_README": f"{KEY}:agent"}
    with stack(settings, *ONE_PROCESS) as started:
        for repo in ("acme/shop", "acme/page", "myorg/myrepo"):
            make_bare(started.forge, repo, {"README.md": "teh first line\n"})
        yield started


def check(stack: Stack, job: str, ids: list[str]) -> None:
    """Every event once and in order, as somebody read them who was never cut off."""
    told = [id for id, _ in history(stack.url, f"/api/pr-agent/{job}/stream")]
    assert ids == told
    assert len(told) > 100
    assert [order(id) for id in ids] == sorted({order(id) for id in ids})


def test_the_types_are_those_of_the_api_document(package: Package) -> None:
    stale = package.generated() != (SDK / "src" / "generated" / "openapi.ts").read_text()  # pytest would compare them for minutes
    assert not stale, "run `npm run generate` in sdks/typescript"


@pytest.mark.skipif(not campaigns.LONG, reason="a quarter of a minute of a processor; `make campaigns` does it")
def test_its_own_tests_pass(package: Package) -> None:
    assert "# fail 0" in package.npm("run", "check")


def test_it_needs_nothing_else_when_it_runs() -> None:
    described: dict[str, Any] = json.loads((SDK / "package.json").read_text())
    assert "dependencies" not in described and "peerDependencies" not in described
    outside = [
        name
        for file in (SDK / "src").rglob("*.ts")
        for name in re.findall(r'^(?:import|export)\b[^;]*? from "([^"]+)";', file.read_text(), re.M)
    ]
    assert outside and all(name.startswith("./") for name in outside)


def test_a_job_is_followed_to_its_pull_request_over_broken_connections(running: Stack, package: Package) -> None:
    with cutting(running.url, 7, most=8000) as way:
        told = json.loads(package.runs("follow.mjs", way.url, "acme/shop", LONG, "stream"))
    assert way.cuts > 5
    check(running, told["jobId"], [event["id"] for event in told["events"]])
    assert told["events"][-1]["type"] == "result"
    assert told["job"]["status"] == "success" and told["job"]["prUrl"] == told["events"][-1]["result"]["prUrl"]


@pytest.mark.skipif(not campaigns.LONG, reason="half a minute; the Python SDK's is done always; `make campaigns` does it")
async def test_no_cut_anywhere_makes_it_lose_an_event_or_repeat_one(package: Package) -> None:
    luck, tally, most = Random(9), Tally(), campaigns.tries(40, 10_000)
    async with world() as (gateway, bus), Cutter(gateway.at, 9, most=campaigns.tries(9000, 3000)).serving() as way:
        earlier = await Job(bus, luck, largest=10).begin()
        await earlier.live(0.0)
        while way.cuts < most:
            job = await Job(bus, luck, largest=10).begin()
            words = ("follow_all.mjs", way.url, token(), *[job.task, earlier.task] * campaigns.tries(1, 3))
            async with asyncio.TaskGroup() as group:
                group.create_task(told_in_parts(gateway, job, luck))
                said = group.create_task(asyncio.to_thread(package.runs, *words))
            await held(gateway, json.loads(said.result()), tally)
            earlier = job
        tally.cuts = way.cuts
    print("TypeScript SDK:", tally, "restarts:", gateway.restarts)


async def held(gateway: Gateway, told: list[dict[str, Any]], tally: Tally) -> None:
    """Against somebody who is never cut: every event, and all that it holds."""
    places = [(JOBS if one["surface"] == "jobs" else TASKS).format(one["id"]) for one in told]
    for place in set(places):
        whole = (await calm(gateway, place)).seen
        for one in (one for one, other in zip(told, places, strict=True) if other == place):
            tally.hold([event["id"] for event in one["events"]], [id for id, _ in whole])
            assert one["events"] == [json.loads(text) | {"id": id} for id, text in whole], tally


def test_a_job_that_fails_ends_with_its_error(running: Stack, package: Package) -> None:
    told = json.loads(package.runs("follow.mjs", running.url, "acme/shop", "fail", "watch"))
    assert told["events"][-1]["type"] == "error" and told["job"]["status"] == "failed"


@pytest.mark.skipif(not campaigns.LONG, reason="a browser takes as long as all the rest of this; `make campaigns` does it")
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: chromium is not installed, so the SDK is not tried in one")
def test_a_page_follows_a_job_in_a_browser(running: Stack, package: Package, tmp_path: Path) -> None:
    with cutting(running.url, 11, most=9000) as way, site(CLIENTS, package.sdk / "dist", way.url) as served:
        address = f"{served.url}/page.html?repo=acme/page&task={quote(LONG)}"
        words = [str(CHROMIUM), *HEADLESS, f"--user-data-dir={tmp_path}", address]
        page = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            assert served.told.wait(120), "the page did not come to its end"
        finally:
            os.killpg(page.pid, signal.SIGKILL)
            page.wait()
    assert served.said.get("error") is None, served.said
    assert served.said["base"] == served.url
    assert served.said["refused"] == "WebhookError"
    assert way.cuts > 3
    check(running, served.said["jobId"], served.said["ids"])
    assert served.said["last"]["type"] == "result"


def test_the_documented_javascript_calls_work(running: Stack, package: Package) -> None:
    # The document names no address: the environment does, as for every other program of ours.
    lines = package.runs("pr_agent_sample.mjs", TRUNKLINE_URL=running.url).splitlines()
    assert lines[0] == "[undefined] Queued"
    assert any(line.startswith("[sandbox] ") for line in lines) and any(line.startswith("Tool: ") for line in lines)
    assert re.fullmatch(r"PR: http://.*/pulls/\d+", lines[-1])


@pytest.fixture(scope="module")
def shown(package: Package) -> Package:
    package.compiled({f"shown{number}.ts": text for number, text in enumerate(SHOWN)})
    return package


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_what_the_readme_shows_compiles_and_runs(running: Stack, shown: Package, number: int) -> None:
    secret = "your-webhook-secret"
    told = shown.runs("shown.mjs", f"./shown{number}.js", TRUNKLINE_URL=running.url, TRUNKLINE_API_KEY=KEY, WEBHOOK_SECRET=secret)
    assert "done: " in told
    assert "export" not in SHOWN[number] or told.splitlines()[-2:] == ["200", "400"]
