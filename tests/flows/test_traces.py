"""One task through every service under one trace, as its sender, a reader, a terminal, a collector and Prometheus see it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from typing import Any
from unittest.mock import patch

import jwt
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.flows.jobs import ACTING, Job, until
from tests.flows.plain_agent import Refusal, plain_agent
from tests.flows.subscriber import Subscriber, subscriber
from trunkline.contracts.trace import trace_of
from trunkline.telemetry.metrics import FIGURES
from trunkline.testing.repositories import make_bare
from trunkline.testing.stack import Stack, stack
from trunkline_cli.__main__ import main
from trunkline_cli.services import NAMES

pytestmark = [pytest.mark.flow, pytest.mark.timeout(90)]

SECRET = "a-secret-for-tests-of-the-traces!"
CANARY = "ghp_" + "c4n4ryc4n4ry" * 3
SAYS = "import os\nprint('told', os.environ.get('TRACEPARENT'), flush=True)\nopen('done.txt', 'w').write('done')\n"
TRACE, SENDER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SENDER}-01"


def five_free() -> int:
    """The first of five ports in a row that nobody has, below those that the kernel gives to whoever wants any."""
    for first in (random.randrange(20_000, 32_000) for _ in range(100)):
        with ExitStack() as held, suppress(OSError):
            for port in range(first, first + len(NAMES)):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no five ports are free")


PORTS = five_free()
ENVIRONMENT = {
    "TRUNKLINE_AGENT": "command",
    "TRUNKLINE_AGENT_COMMAND": ACTING,
    "ORCHESTRATOR_JWT_SECRET": SECRET,
    "TRUNKLINE_LEASE_S": "1.5",
    "TRUNKLINE_METRICS_PORT": str(PORTS),
    "TRUNKLINE_LOG_LEVEL": "info",
    "TRUNKLINE_WEBHOOK_NETWORKS_ALLOWED": "127.0.0.0/8",
    "TRUNKLINE_ROUTES": '{"bugfix": {"pool": "dev", "executor": "sandbox"}}',
}


@pytest.fixture(scope="module")
def running() -> Iterator[Stack]:
    with stack(ENVIRONMENT) as running:
        make_bare(running.forge, "acme/shop", {"README.md": "sample\n"})
        yield running


def bearer(role: str = "admin", subject: str = "root", **claims: str) -> dict[str, str]:
    now = int(time.time())
    token = jwt.encode({"sub": subject, "role": role, "iat": now, "exp": now + 600, **claims}, SECRET, "HS256")
    return {"Authorization": f"Bearer {token}"}


def asks(running: Stack, headers: dict[str, str], **fields: object) -> tuple[Job, requests.Response]:
    body = {"repo": "acme/shop", "task": SAYS, **fields}
    answer = requests.post(f"{running.url}/api/pr-agent/execute", json=body, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return Job(running, "acme/shop", answer.json()["jobId"]), answer


def trace(running: Stack, name: str, **who: str) -> dict[str, Any]:
    answer = requests.get(f"{running.url}/traces/{name}", headers=bearer(**who), timeout=30)
    assert answer.status_code in (200, 404), answer.text
    found: dict[str, Any] = answer.json()
    return found


def spans_of(running: Stack, name: str, *wanted: str) -> dict[str, dict[str, Any]]:
    """The first by each name, once all that are wanted have been told: each service tells its own in its own time."""
    until(lambda: {*wanted} <= {span["name"] for span in trace(running, name).get("spans", [])}, 30, trace(running, name))
    return {span["name"]: span for span in reversed(trace(running, name)["spans"])}


def folded_below(running: Stack) -> dict[str, dict[str, Any]]:
    """The spans, as far as they were told yet, whose facts the views took."""
    by_id = {span["span_id"]: span for span in trace(running, TRACE).get("spans", [])}
    above = {span["parent_id"] for span in by_id.values() if span["name"] == "relay.fold"}
    return {name: span for name, span in by_id.items() if name in above}


@pytest.fixture(scope="module")
def told(running: Stack) -> Iterator[Subscriber]:
    """Whoever is told of every end of a task of ours."""
    with subscriber() as one:
        made = requests.post(f"{running.url}/webhooks", json={"url": one.url(), "events": ["task.completed"]}, headers=bearer(), timeout=10)
        at = f"{running.url}/webhooks/{made.json()['webhook_id']}"
        until(lambda: requests.get(at, headers=bearer(), timeout=10).json()["webhook"]["status"] == "active", 10, made.json())
        yield one


@pytest.fixture(scope="module")
def traced(running: Stack, told: Subscriber) -> tuple[Job, requests.Response]:
    job, answer = asks(running, {"traceparent": SAMPLED, "tracestate": "vendor=opaque", "X-Secret": CANARY})
    job.end()
    return job, answer


def test_the_answer_goes_on_from_the_trace_that_the_request_came_with(traced: tuple[Job, requests.Response]) -> None:
    version, trace_id, span_id, flags = traced[1].headers["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert span_id != SENDER


def test_every_service_and_the_agent_are_part_of_it_each_below_what_it_came_from(
    running: Stack, traced: tuple[Job, requests.Response]
) -> None:
    steps = [f"run.{step}" for step in ("make_sandbox", "clone", "start_agent", "commit", "push", "open_pull_request")]
    told = ("POST /api/pr-agent/execute", "router.submit", "router-tasks", "router-runs", "work-dev", "run", *steps)
    spans = spans_of(running, TRACE, *told)
    job, answer = traced
    tree = {name: [each["name"] for each in spans.values() if each["span_id"] == span["parent_id"]] for name, span in spans.items()}

    assert spans["POST /api/pr-agent/execute"]["parent_id"] == SENDER
    assert spans["POST /api/pr-agent/execute"]["span_id"] == answer.headers["traceparent"].split("-")[2]
    assert tree["router.submit"] == ["POST /api/pr-agent/execute"]
    assert tree["router-tasks"] == ["router.submit"]
    assert tree["work-dev"] == ["router-tasks"]
    assert tree["run"] == ["work-dev"]
    for step in steps:
        assert tree[step] == ["run"], tree
    assert tree["router-runs"] == ["run"]
    assert {span["service"] for span in spans.values()} >= {"gateway", "router", "sandbox"}
    assert f"told 00-{TRACE}-{spans['run']['span_id']}-01" in job.said
    assert {span["w3c_trace_id"] for span in spans.values()} == {TRACE}


def test_whoever_is_told_of_it_is_told_its_trace_and_so_is_what_the_views_took(
    running: Stack, told: Subscriber, traced: tuple[Job, requests.Response]
) -> None:
    until(lambda: [came for came in told.came if came.event["type"] == "task.completed"], 10)
    until(lambda: {each["name"] for each in folded_below(running).values()} >= {"router.submit", "run"}, 10)
    spans = spans_of(running, TRACE, "webhook.send", "relay-webhooks")
    (came,) = (came for came in told.came if came.event["type"] == "task.completed")
    sent, by_id = spans["webhook.send"], {span["span_id"]: span for span in trace(running, TRACE)["spans"]}
    assert came.headers["traceparent"] == f"00-{TRACE}-{sent['span_id']}-01"
    assert "tracestate" not in came.headers
    assert (sent["attributes"], by_id[sent["parent_id"]]["name"]) == ({"status": 200}, "relay-webhooks")


def test_log_lines_say_of_which_trace_and_task_they_are(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    until(lambda: any(TRACE in line and "run.over" in line for line in running.log().splitlines()), 20, "the end is not logged")
    lines = [json.loads(line[line.index("{") :]) for line in running.log().splitlines() if TRACE in line and "{" in line]
    said = {(line["service"], line["event"]): line.get("task") for line in lines if line.get("trace") == TRACE}
    task = traced[0].id.replace("-", "")
    assert said["gateway", "http.request"] == said["sandbox", "run.taken"] == said["sandbox", "run.over"] == task


def test_the_task_is_found_by_its_trace_and_its_trace_by_the_task(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    found = trace(running, f"trace_{TRACE}")
    assert [task["task_id"].removeprefix("task_") for task in found["tasks"]] == [traced[0].id.replace("-", "")]
    assert trace(running, TRACE)["tasks"] == found["tasks"]
    assert found["w3c_trace_id"] == TRACE


def test_a_terminal_shows_it_as_a_waterfall(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    spans_of(running, TRACE, "work-dev", "run.push", "router.submit", "POST /api/pr-agent/execute")
    out, err = io.StringIO(), io.StringIO()
    token = bearer()["Authorization"].removeprefix("Bearer ")
    with patch.dict(os.environ, {"TRUNKLINE_URL": running.url, "TRUNKLINE_TOKEN": token}), redirect_stdout(out), redirect_stderr(err):
        assert main(["trace", traced[0].id]) == 0, err.getvalue()
    lines = [line.split("\t")[:3] for line in out.getvalue().splitlines()]
    assert lines[0] == ["0", "gateway", "POST /api/pr-agent/execute"]
    assert ["1", "router", "router.submit"] in lines
    assert any(line[1:] == ["sandbox", "run.push"] for line in lines)


def test_no_other_tenant_sees_it(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    spans_of(running, TRACE, "work-dev")
    for name in (TRACE, f"trace_{TRACE}"):
        assert trace(running, name, subject="boss", tenant="elsewhere") == {"detail": "nothing carries that trace id"}
    asks(running, {"traceparent": SAMPLED} | bearer("user", "eve", tenant="elsewhere"))
    until(lambda: trace(running, TRACE, subject="boss", tenant="elsewhere").get("spans"), 10)
    theirs = {span["span_id"] for span in trace(running, TRACE, subject="boss", tenant="elsewhere")["spans"]}
    assert theirs.isdisjoint(span["span_id"] for span in trace(running, TRACE)["spans"])


@pytest.mark.parametrize(
    "wrong",
    ["", "00", SAMPLED[:-1], SAMPLED + "0", SAMPLED.upper(), SAMPLED.replace(TRACE, "0" * 32), SAMPLED.replace(SENDER, "0" * 16),
     "ff" + SAMPLED[2:], SAMPLED + "-more", SAMPLED.replace("-", "_")],
)  # fmt: skip
def test_a_header_that_is_wrong_is_no_header(running: Stack, wrong: str) -> None:
    answer = requests.get(f"{running.url}/health", headers={"traceparent": wrong}, timeout=10)
    assert answer.status_code == 200
    _, trace_id, _, flags = answer.headers["traceparent"].split("-")
    assert (trace_id != TRACE, len(trace_id), flags) == (True, 32, "00")


def test_a_word_of_the_senders_own_is_a_trace_too_and_leads_on_to_the_one_that_it_came_with(running: Stack) -> None:
    body = {"type": "monitoring", "payload": {}, "trace_id": "nightly"}
    fresh = requests.post(f"{running.url}/tasks", json=body, headers=bearer(), timeout=10)
    assert fresh.headers["traceparent"].split("-")[1] == trace_of("nightly")
    assert spans_of(running, "nightly", "router.submit", "POST /tasks")

    came = SAMPLED.replace("4bf9", "6bf9")
    requests.post(f"{running.url}/tasks", json=body | {"trace_id": "weekly"}, headers=bearer() | {"traceparent": came}, timeout=10)
    spans = spans_of(running, "weekly", "router.submit", "goes on elsewhere")
    assert spans["goes on elsewhere"]["w3c_trace_id"] == trace_of("weekly")
    assert spans["router.submit"]["w3c_trace_id"] == came.split("-")[1]


def test_a_run_that_somebody_let_begin_belongs_to_its_tasks_trace_and_leads_on_to_theirs(running: Stack) -> None:
    body = {"type": "bugfix", "priority": "P1", "payload": {"repo": "acme/shop", "description": SAYS}, "trace_id": "urgent"}
    made = requests.post(f"{running.url}/tasks", json=body, headers=bearer(subject="ann"), timeout=10).json()
    yes = requests.post(f"{running.url}/approvals/{made['approval_id']}/approve", json={}, headers=bearer(), timeout=10)
    assert yes.status_code == 200, yes.text
    spans = spans_of(running, "urgent", "run", "POST /approvals/{approval_id}/approve")
    assert spans["run"]["w3c_trace_id"] == trace_of("urgent")
    assert spans["run"]["links"] == [yes.headers["traceparent"].split("-")[1]]
    assert spans["POST /approvals/{approval_id}/approve"]["w3c_trace_id"] in spans["run"]["links"]


def test_what_a_killed_service_had_told_stays(running: Stack) -> None:
    work = "import time\nprint('at work', flush=True)\ntime.sleep(1.5)\nopen('done.txt', 'w').write('done')\n"
    came = SAMPLED.replace("4bf9", "7bf9")
    job, _ = asks(running, {"traceparent": came}, task=work)
    job.await_said("at work")
    spans_of(running, came.split("-")[1], "run.clone")
    running.kill("sandbox")
    job.end()
    told = ("POST /api/pr-agent/execute", "run.clone", "run.watch_agent", "run.open_pull_request")
    spans = spans_of(running, came.split("-")[1], "work-dev", *told)
    assert spans["work-dev"]["attributes"] == {"delivery": 2}


def test_a_trace_goes_on_when_its_agent_is_lost_also_where_several_are_lost_in_one_second(running: Stack) -> None:
    traces = [SAMPLED.replace("4bf9", first) for first in ("8bf9", "9bf9")]
    body = {"type": "incident", "priority": "P2", "payload": {}}
    for came in traces:
        requests.post(f"{running.url}/tasks", json=body, headers=bearer() | {"traceparent": came}, timeout=10).raise_for_status()
    asyncio.run(taken_lost_and_taken_again(running, len(traces)))
    for name in (came.split("-")[1] for came in traces):
        until(lambda name=name: ends(running, name) == {"", "AGENT_LOST"}, 20, name)  # type: ignore[misc]


async def taken_lost_and_taken_again(running: Stack, many: int) -> None:
    """By an agent that takes so many tasks together, falls silent, and does them when they are given to it as another."""
    kept = json.loads((running.folder / "data" / "nats" / "secrets.json").read_text())["clients"]
    token = bearer("agent", "bot")["Authorization"].removeprefix("Bearer ")
    wish = {"pool": "ops_agent", "types": ["incident"], "room": many, "begin": True}
    async with asyncio.timeout(60), plain_agent(f"nats://127.0.0.1:{kept}", "public", token=token) as agent:
        lost: set[str] = set()
        while len(lost) < many:
            lost |= {task["task_id"] for task in await agent.claim(**wish)}
        agent.session, agent.holding, done = "another", [], set[str]()
        while done != lost:
            for task in await agent.claim(**wish):  # given when the leases are over, for nobody beats
                with suppress(Refusal):  # on a machine so slow that this one is over too, it is given once more
                    await agent.report(task, "succeeded")
                    done.add(task["task_id"])


def ends(running: Stack, name: str) -> set[str]:
    """How the runs of a trace ended, as it tells; empty: well."""
    return {span["error"] or "" for span in trace(running, name).get("spans", []) if span["name"] == "run"}


def figures(name: str) -> dict[str, dict[tuple[str, ...], float]]:
    """All that a service tells, by name, and its labels in their order."""
    url = f"http://127.0.0.1:{PORTS + NAMES.index(name)}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = sample.value
    return found


def test_every_service_tells_its_figures_and_that_it_is_ready(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    for name in NAMES:
        port = PORTS + NAMES.index(name)
        until(lambda port=port: requests.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200, 10)  # type: ignore[misc]
        assert requests.get(f"http://127.0.0.1:{port}/health/live", timeout=5).json() == {"live": True}
        told = figures(name)
        assert told["trunkline_ready"] == {(): 1.0}
        wanted = {one.name for one in FIGURES if one.told_by in ("all", name) and not one.labels and one.kind != "histogram"}
        assert wanted <= set(told), wanted - set(told)
        known = {one.name for one in FIGURES if one.told_by in ("all", name)}
        ours = {each.removesuffix("_created") for each in told if each.startswith("trunkline_")}
        assert {each for each in ours if not any(each.startswith(one.removesuffix("_total")) for one in known)} == set()


def test_the_figures_count_what_was_done(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    gateway, router = figures("gateway"), figures("router")
    assert gateway["trunkline_http_requests_total"][("POST", "/api/pr-agent/execute", "200")] >= 1
    assert gateway["trunkline_http_request_seconds_count"][("/api/pr-agent/execute",)] >= 1
    assert router["trunkline_commands_total"][("accepted", "submit")] >= 1
    assert router["trunkline_deliveries_total"][("router-tasks", "done")] >= 1
    assert router["trunkline_consumer_pending"][("router-runs",)] == 0
    assert all(len(labels) <= 3 and not any(traced[0].id in label for label in labels) for many in gateway.values() for labels in many)


def test_no_secret_comes_into_a_span_or_a_figure(running: Stack, traced: tuple[Job, requests.Response]) -> None:
    requests.get(f"{running.url}/tasks/{CANARY}?token={CANARY}", headers=bearer() | {"traceparent": SAMPLED}, timeout=10)
    requests.request(
        "BREW" + CANARY[:8], f"{running.url}/{CANARY}", headers={"traceparent": SAMPLED, "tracestate": f"a={CANARY}"}, timeout=10
    )
    spans_of(running, TRACE, "GET /tasks/{task_id}")
    assert CANARY[:12] not in json.dumps(trace(running, TRACE))
    assert CANARY[:12] not in running.log()
    assert CANARY[:12] not in json.dumps([list(map(str, figures(name).items())) for name in NAMES])
