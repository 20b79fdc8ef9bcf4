"""Spans: what is part of what, what is kept, what a trace is called, and what they cost when nobody keeps them."""

from __future__ import annotations

import asyncio

import pytest

from trunkline.contracts.trace import name_of, trace_of
from trunkline.telemetry import traces
from trunkline.telemetry.sampling import Sampler
from trunkline.telemetry.traces import Run, Span, Tracer

CAME = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
TASK = "0198" + "a" * 28


class Kept:
    """A tracer, the spans that it kept, and a clock that stands still."""

    def __init__(self, ratio: float = 1.0, per_s: float = 2.0) -> None:
        self.now = 100.0
        self.spans: list[Span] = []
        self.tracer = Tracer("gateway", Sampler(ratio, per_s, lambda: self.now), self.spans.append)

    def request(self, traceparent: str = "", *, writes: bool = True, tenant: str = "acme", path: str = "/tasks") -> Span:
        span = self.tracer.edge("POST /tasks", (traceparent, ""), writes=writes)
        span.belongs(tenant, "ann", path)
        return span


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_what_is_done_inside_of_a_span_is_part_of_it(kept: Kept) -> None:
    with kept.request() as whole, traces.child("step", n=1) as step:
        assert traces.current() is step
        assert traces.carried({"a": "b"}) == {"a": "b", "traceparent": f"00-{whole.trace_id}-{step and step.span_id}-01"}
    assert traces.current() is None
    assert [(span.name, span.parent_id) for span in kept.spans] == [("step", whole.span_id), ("POST /tasks", "")]
    assert traces.carried({"a": "b"}) == {"a": "b"}


async def test_tasks_at_the_same_time_do_not_take_each_others(kept: Kept) -> None:
    async def work(tenant: str) -> None:
        with kept.request(tenant=tenant):
            await asyncio.sleep(0)
            with traces.child("step"):
                await asyncio.sleep(0)

    await asyncio.gather(work("a"), work("b"))
    for step in (span for span in kept.spans if span.name == "step"):
        whole = next(span for span in kept.spans if span.span_id == step.parent_id)
        assert (step.tenant, step.trace_id) == (whole.tenant, whole.trace_id)


def test_what_breaks_is_told_by_its_kind_and_never_by_its_text(kept: Kept) -> None:
    with pytest.raises(ValueError, match="secret"), kept.request():
        raise ValueError("a secret")
    assert kept.spans[0].failed == "ValueError"


def test_reads_are_kept_only_where_their_sender_wants_it(kept: Kept) -> None:
    assert not kept.request(writes=False).sampled
    assert kept.request(CAME, writes=False).sampled
    assert not kept.request(CAME[:-1] + "0").sampled


def test_nobody_outside_decides_how_much_is_kept_and_whoever_takes_much_leaves_others_theirs(kept: Kept) -> None:
    for came in (CAME, ""):
        assert [kept.request(came).sampled for _ in range(5)] == [True] * 3 + [False] * 2
        assert [kept.request(came, tenant="other").sampled for _ in range(2)] == [True, False]
    kept.now += 1.0
    assert [kept.request(CAME).sampled for _ in range(3)] == [True, False, False]
    kept.now += 1.0
    assert [kept.request(CAME).sampled for _ in range(3)] == [True, True, False]


def test_what_comes_all_the_time_leaves_something_for_what_comes_seldom() -> None:
    kept, seldom = Kept(per_s=5.0), 0
    for second in range(20):
        for path in ("/heartbeat", "/messages") * 10:
            kept.request(path=path)
            kept.now += 0.05
        seldom += second % 4 == 0 and kept.request().sampled
    assert seldom == 5


def test_strangers_and_what_nobody_owns_take_nothing_from_others(kept: Kept) -> None:
    for _ in range(9):
        with kept.tracer.edge("POST /tasks", (CAME, ""), writes=True):
            pass
    assert kept.spans == []
    assert kept.request(CAME).sampled


def test_what_breaks_is_kept_though_its_trace_is_not_and_a_refusal_is_none() -> None:
    none = Kept(ratio=0.0)
    with none.request() as refused:
        refused.fail("NOT_FOUND")
    with none.request() as broken:
        broken.broke("500")
        broken.note(status=500)
    assert [(span.failed, span.attributes, span.traceparent[-2:]) for span in none.spans] == [("500", {"status": 500}, "01")]
    sent = broken.traceparent[:-1] + "0"
    with none.tracer.heard("router.submit", {"traceparent": sent}, "acme", TASK) or pytest.fail() as heard:
        assert traces.carried({})["traceparent"] == sent
        heard.broke("BROKEN")
    assert (none.spans[1].parent_id, none.spans[1].trace_id) == (broken.span_id, broken.trace_id)
    assert none.spans[1].span_id != broken.span_id


async def test_what_outlives_a_request_is_no_part_of_it(kept: Kept) -> None:
    over = asyncio.Event()

    async def beside() -> dict[str, str]:
        await over.wait()
        with traces.child("late"):
            return traces.carried({})

    async with asyncio.TaskGroup() as group:
        with kept.request():
            later = group.create_task(beside())
            with traces.apart():
                assert traces.carried({}) == {}
            await asyncio.sleep(0)
        over.set()
    assert (later.result(), [span.name for span in kept.spans]) == ({}, ["POST /tasks"])


@pytest.mark.parametrize(("ratio", "per_s"), [(0.0, 1000.0), (1.0, 0.0)])
def test_nothing_is_kept_where_nothing_is_wanted(ratio: float, per_s: float) -> None:
    none = Kept(ratio, per_s)
    with none.request() as span, traces.child("step") as step:
        assert step is None
        assert traces.carried({})["traceparent"].endswith("-00")
    assert (span.sampled, none.spans) == (False, [])


def test_a_task_that_names_no_trace_has_one_that_is_called_after_it(kept: Kept) -> None:
    with kept.request() as span:
        assert traces.named(None, TASK) == f"trace_{TASK}"
    assert span.trace_id == TASK
    assert traces.named(None, TASK) == f"trace_{TASK}"


def test_a_request_that_came_with_a_trace_stays_in_it(kept: Kept) -> None:
    with kept.request(CAME) as span:
        assert traces.named(None, TASK) == "trace_4bf92f3577b34da6a3ce929d0e0e4736"
        assert traces.named("weekly", TASK) == "weekly"
    assert span.trace_id == "4bf92f3577b34da6a3ce929d0e0e4736"
    sign = kept.spans[0]
    assert (sign.trace_id, sign.links) == (trace_of("weekly"), (span.trace_id,))


@pytest.mark.parametrize(
    ("name", "trace_id"),
    [(TASK, TASK), (name_of(TASK), TASK), ("0198AAAA-aaaa-aaaa-aaaa-aaaaaaaaaaaa", TASK),
     ("0" * 32, trace_of("0" * 32)), ("a.b:c", trace_of("a.b:c"))],
)  # fmt: skip
def test_a_name_stands_for_the_digits_that_it_holds_or_for_those_of_its_digest(name: str, trace_id: str) -> None:
    assert trace_of(name) == trace_id
    assert len(trace_id) == 32


def test_a_run_belongs_to_its_tasks_own_trace_whoever_let_it_begin(kept: Kept) -> None:
    approval = kept.request()
    approval.state = "vendor=of-whoever-said-yes"
    with approval, traces.running(Run("acme", TASK, CAME), attempt=1) as run:
        assert run is not None
        assert traces.environment(run) == {"TRACEPARENT": f"00-4bf92f3577b34da6a3ce929d0e0e4736-{run.span_id}-01"}
        with traces.child("run.clone") as step:
            assert step is not None
            assert (step.trace_id, step.parent_id, step.task) == (run.trace_id, run.span_id, TASK)
    assert (run.parent_id, run.links, run.state) == ("00f067aa0ba902b7", (approval.trace_id,), "")


async def test_what_outlives_a_step_is_a_part_of_the_whole(kept: Kept) -> None:
    over = asyncio.Event()

    async def beside() -> str:
        await over.wait()
        return traces.carried({})["traceparent"]

    async with asyncio.TaskGroup() as group:
        with kept.request() as whole:
            with traces.child("step"):
                later = group.create_task(beside())
            over.set()
            assert await later == whole.traceparent
