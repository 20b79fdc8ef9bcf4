"""Which tasks a list shows, in which order, how many there are, and how one goes through all of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.each import each
from tests.unit.relay.timelines import NOON, Line, life, line, submitted
from tests.unit.relay.views import folded, ids, listed, pages
from trunkline.contracts.errors import Invalid
from trunkline.contracts.message import Fact
from trunkline.contracts.task import Priority, TaskAssigned, TaskCancelled, TaskFailed, TaskStarted, TaskStatus, Visibility
from trunkline.contracts.views import FINGERPRINT, LOGIN, ListTasks, TaskCounts, TaskPage, TaskSort, TaskView
from trunkline.contracts.work_types import OLDER_WORDS, canonical
from trunkline_relay.adapters import sqlite_task_pages
from trunkline_relay.adapters.sqlite_views import SqliteViews
from trunkline_relay.model.bookmarks import ENDED, OPEN, read, write

TYPES, SOURCES, POOLS = ("bugfix", "faq", "FAQ_update", "deploy"), ("user", "alert"), ("dev_agent", "ops_agent")


def at(second: int) -> str:
    return (NOON + timedelta(seconds=second)).isoformat()


def random_log(tasks: int, seed: int) -> list[Line]:
    """Tasks of every sort, several of them submitted at the same moment."""
    chance, log = random.Random(seed), []
    for number in range(tasks):
        asked: dict[str, Any] = {
            "type": chance.choice(TYPES),
            "source": chance.choice(SOURCES),
            "priority": chance.choice(list(Priority)),
            "parent": chance.choice((None, "p1", "p2")),
            "surface": chance.choice(("pr_agent", "trunkline")),
            "visibility": chance.choice(("private", "open", "owner")),
            "labels": {**chance.choice(({}, {FINGERPRINT: "browser-1"})), **chance.choice(({}, {LOGIN: "Ann-Hub"}))},
        }
        made = submitted(chance.choice(("ann", "bob")), trace=chance.choice((None, "tr1", "tr2")), **asked)
        log.append(line(number // 3, f"t{chance.getrandbits(40):x}", "task", made))
    return log + [further(entry, tasks + number, chance) for number, entry in enumerate(log)]


def further(entry: Line, seq: int, chance: random.Random) -> Line:
    """One more message about the same task."""
    assigned, started = TaskAssigned(pool=chance.choice(POOLS), attempt=1), TaskStarted(attempt=1)
    ways: list[tuple[Fact, ...]] = [
        (assigned,), (assigned, started), (assigned, started, TaskFailed(code="X", error="?")), (TaskCancelled(by="ann", reason=""),),
    ]  # fmt: skip
    return line(seq, entry.subject.split(".")[2], "task", *chance.choice(ways))


MATCHES: dict[str, Callable[[TaskView, object], bool]] = {
    "statuses": lambda view, asked: view.status in asked,  # type: ignore[operator]
    "types": lambda view, asked: canonical(view.assignment.type) in map(canonical, asked),  # type: ignore[call-overload]
    "priorities": lambda view, asked: view.assignment.priority in asked,  # type: ignore[operator]
    "pool": lambda view, asked: view.pool == asked,
    "source": lambda view, asked: view.assignment.source == asked,
    "parent": lambda view, asked: view.assignment.parent == asked,
    "trace_id": lambda view, asked: view.trace_id == asked,
    "submitted_by": lambda view, asked: view.submitted_by == asked,
    "surface": lambda view, asked: view.assignment.surface == asked,
    "fingerprint": lambda view, asked: view.assignment.labels.get(FINGERPRINT) == asked,
    "login": lambda view, asked: view.assignment.labels.get(LOGIN, "").lower() == str(asked).lower(),
    "seen_by": lambda view, asked: view.assignment.visibility is not Visibility.OWNER or view.submitted_by == asked,
    "submitted_from": lambda view, asked: view.submitted_at >= datetime.fromisoformat(str(asked)),
    "submitted_before": lambda view, asked: view.submitted_at < datetime.fromisoformat(str(asked)),
}


def random_filter(chance: random.Random) -> dict[str, Any]:
    values: dict[str, object] = {
        "statuses": chance.sample(list(TaskStatus), chance.randint(1, 3)), "types": chance.sample(TYPES, chance.randint(1, 2)),
        "priorities": chance.sample(list(Priority), chance.randint(1, 2)), "pool": chance.choice(POOLS), "source": chance.choice(SOURCES),
        "parent": chance.choice(("p1", "p3")), "trace_id": chance.choice(("tr1", "tr2")), "submitted_by": chance.choice(("ann", "eve")),
        "surface": chance.choice(("pr_agent", "other")), "fingerprint": chance.choice(("browser-1", "browser-2")),
        "login": chance.choice(("ann-hub", "ANN-HUB", "bob")),
        "seen_by": chance.choice(("ann", "eve")), "submitted_from": at(chance.randrange(60)), "submitted_before": at(chance.randrange(60)),
    }  # fmt: skip
    return {name: values[name] for name in chance.sample(list(values), chance.choice((0, 1, 1, 2, 3)))}


def expected(all: list[TaskView], asked: dict[str, object], sort: TaskSort) -> list[str]:
    """The same by looking at every task."""
    found = [view for view in all if all_match(view, asked)]
    match sort:
        case TaskSort.NEWEST:
            found.sort(key=lambda view: (view.submitted_at, view.task_id), reverse=True)
        case TaskSort.OLDEST:
            found.sort(key=lambda view: (view.submitted_at, view.task_id))
        case TaskSort.UPDATED:
            found.sort(key=lambda view: (view.updated_at, view.task_id), reverse=True)
        case TaskSort.PRIORITY:
            found.sort(key=lambda view: (view.assignment.priority, view.submitted_at, view.task_id))
    return [view.task_id for view in found]


def all_match(view: TaskView, asked: dict[str, object]) -> bool:
    return all(MATCHES[name](view, value) for name, value in asked.items())


@pytest.mark.parametrize("few", [0, 30, 2_000])
@pytest.mark.parametrize("sort", TaskSort)
def test_every_filter_in_every_order_is_what_looking_at_every_task_gives(sort: TaskSort, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_task_pages, "FEW", few)  # so that every way of finding them is gone
    views, chance = folded(random_log(120, seed=7)), random.Random(few)
    everything = [view for page in pages(views) for view in page.tasks]
    assert len(everything) == 120

    for _ in range(40):
        asked, limit = random_filter(chance), chance.choice((7, 50, 200))
        right = expected(everything, asked, sort)
        found = list(pages(views, sort=sort, **{"limit": limit, **asked}))
        assert [task for page in found for task in ids(page)] == right, asked
        assert {page.total for page in found} == {len(right)}
        assert [len(page.tasks) for page in found[:-1]] == [limit] * (len(found) - 1)
        offset = chance.randrange(40)
        assert ids(listed(views, sort=sort, offset=offset, **{"limit": limit, **asked})) == right[offset : offset + limit]


def test_a_page_is_newest_first_filtered_and_counted() -> None:
    log = [line(seq, f"t{seq}", "task", submitted(by="bob" if seq % 2 else "ann")) for seq in range(1, 8)]
    views = folded([*log, line(8, "t3", "task", TaskStarted(attempt=1)), line(9, "t4", "task", TaskStarted(attempt=1))])

    assert ids(listed(views)) == ["t7", "t6", "t5", "t4", "t3", "t2", "t1"]
    page = listed(views, submitted_by="bob", limit=2, offset=1)
    assert (ids(page), page.total) == (["t5", "t3"], 4)
    page = listed(views, submitted_by="bob", status="in_progress")
    assert (ids(page), page.total) == (["t3"], 1)
    assert ids(listed(views, status="in_progress")) == ["t4", "t3"]
    assert ids(listed(views, status="in_progress", statuses=["submitted"])) == ids(listed(views))
    assert listed(views, offset=7) == TaskPage(tasks=(), total=7)


def test_priority_goes_before_age_and_age_within_it() -> None:
    asked = [("t1", "P2"), ("t2", "P0"), ("t3", "P3"), ("t4", "P0"), ("t5", "P2")]
    views = folded([line(seq, task, "task", submitted(priority=priority)) for seq, (task, priority) in enumerate(asked, 1)])

    assert ids(listed(views, sort="priority")) == ["t2", "t4", "t1", "t5", "t3"]


def test_a_task_that_changes_comes_first_where_updates_count() -> None:
    views = folded([line(seq, f"t{seq}", "task", submitted()) for seq in (1, 2, 3)])
    assert ids(listed(views, sort="updated")) == ["t3", "t2", "t1"]

    folded([line(4, "t1", "task", TaskStarted(attempt=1))], views=views)

    assert ids(listed(views, sort="updated")) == ["t1", "t3", "t2"]
    assert ids(listed(views, sort="newest")) == ["t3", "t2", "t1"]


@pytest.mark.parametrize("sort", [TaskSort.NEWEST, TaskSort.OLDEST, TaskSort.PRIORITY])
def test_page_by_page_every_task_is_met_once_while_new_ones_come(sort: TaskSort) -> None:
    def task(seq: int) -> Line:
        return line(seq, f"t{seq}", "task", submitted(priority=f"P{seq % 4}"))

    views, met, end = folded([task(seq) for seq in range(1, 41)]), [], 40
    for page in pages(views, sort=sort, limit=6):
        met += ids(page)
        folded([task(end + 1), task(end + 2)] if end < 60 else [], views=views)
        end += 2

    assert len(met) == len(set(met))
    assert {f"t{seq}" for seq in range(1, 41)} <= set(met)


def test_the_last_page_says_that_it_is_the_last() -> None:
    views = folded([line(seq, f"t{seq}", "task", submitted()) for seq in range(1, 5)])

    assert listed(views, limit=4).next is None
    assert listed(views, limit=3).next is not None
    assert [ids(page) for page in pages(views, limit=2)] == [["t4", "t3"], ["t2", "t1"]]


@each(
    "cursor",
    ["", "newest", "newest.1", "newest.1.t1.t1", "newest.x.t1", "newest.1.t 1", "newest.1" + "0" * 18 + ".t1", "newest.\u0661.t1",
     "newest.1.t1\n", "oldest.1.t1", "open.1.t1.release", "priority.P0.1.t1", "' OR 1=1 --"],
)  # fmt: skip
def test_a_cursor_that_is_not_one_of_this_order_is_refused(cursor: str) -> None:
    with pytest.raises(Invalid) as refusal:
        listed(folded([]), after=cursor)
    assert refusal.value.code == "BAD_CURSOR"


@pytest.mark.parametrize("key", [(NOON.year, "t1")])
def test_a_cursor_reads_as_it_was_written(key: tuple[str | int, ...]) -> None:
    assert read(TaskSort.NEWEST, write(TaskSort.NEWEST, key)) == key
    assert read(TaskSort.PRIORITY, write(TaskSort.PRIORITY, ("P1", *key))) == ("P1", *key)
    assert read(OPEN, write(OPEN, (-5, "t1", "release"))) == (-5, "t1", "release")
    with pytest.raises(Invalid):
        read(ENDED, write(OPEN, (-5, "t1", "release")))


def test_tasks_of_everybody_are_counted_by_how_far_they_are() -> None:
    def counted(views: SqliteViews) -> TaskCounts:
        return views.counts()

    views = folded([])
    assert counted(views) == TaskCounts(pending=0, processing=0, total=0)

    folded([line(1, "t1", "task", submitted()), line(2, "t1", "task", submitted(), tenant="umbrella"), *life(3, "t2")], 1, views)
    assert counted(views) == TaskCounts(pending=2, processing=0, total=3)

    folded([line(11, "t1", "task", TaskAssigned(pool="dev", attempt=1)), line(12, "t1", "task", TaskStarted(attempt=1))], 1, views)
    assert counted(views) == TaskCounts(pending=1, processing=1, total=3)
    assert listed(views, status="in_progress").total == 1
    assert listed(views, status="submitted").total == 0


def test_nothing_of_another_tenant_is_on_any_list() -> None:
    canary = submitted("mallory", aliases=("omni:canary",), trace="canary", type="canary", source="canary", parent="canary", priority="P0")
    hers = [line(2, "t9", "task", canary, TaskAssigned(pool="canary", attempt=1), tenant="umbrella")]
    views = folded([line(1, "t1", "task", submitted()), *hers])

    asked: list[dict[str, Any]] = [
        {}, {"types": ["canary"]}, {"source": "canary"}, {"parent": "canary"}, {"trace_id": "canary"}, {"pool": "canary"},
        {"submitted_by": "mallory"}, {"priorities": ["P0"]}, {"statuses": ["assigned"]}, {"submitted_from": at(2)},
    ]  # fmt: skip
    for sort in TaskSort:
        for query in asked:
            page = listed(views, sort=sort, **query)
            assert "canary" not in page.model_dump_json() and "mallory" not in page.model_dump_json()
            assert page.total == (0 if query else 1)
            assert listed(views, "umbrella", sort=sort, **query).total == 1
    cursor = write(TaskSort.NEWEST, (10**17, "t9"))
    assert ids(listed(views, after=cursor)) == ["t1"]


def test_a_time_without_an_offset_is_taken_as_utc() -> None:
    views = folded([line(seq, f"t{seq}", "task", submitted()) for seq in (1, 2, 3)])
    query = ListTasks(tenant="acme", at=NOON, submitted_from=(NOON + timedelta(seconds=2)).replace(tzinfo=None))

    assert ids(views.tasks(query)) == ["t3", "t2"]


@pytest.mark.parametrize(("older", "kind"), OLDER_WORDS.items())
def test_a_type_finds_whichever_word_was_sent_for_it(older: str, kind: str) -> None:
    """And each is shown by the word that was sent."""
    sent = [older, kind, older.upper(), "bugfix"]
    views = folded([line(number, f"t{number}", "task", submitted("ann", type=word)) for number, word in enumerate(sent)])
    for asked in (older, kind, kind.title()):
        page = listed(views, types=(asked,), sort=TaskSort.OLDEST)
        assert ([view.assignment.type for view in page.tasks], page.total) == (sent[:3], 3)
