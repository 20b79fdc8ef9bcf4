"""The page of a timeline: for whoever holds its link, with nothing that runs, and for nobody who made a link up."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.dialects.world import BEGAN, World, talking
from trunkline.auth import timeline_links
from trunkline.auth.principal import HOME
from trunkline.contracts.ids import TaskId, TenantId
from trunkline.contracts.run import AgentOutput, Phase, PhaseBegan, RunGoesOn, RunWaits, Said, Wait
from trunkline.contracts.task import Assignment, TaskAssigned, TaskFailed, TaskStarted, TaskSubmitted

SEAL = b"s" * 32
TASK = TaskId("0194589f6d0070008000000000000001")
SUBMITTED = TaskSubmitted(
    assignment=Assignment(repo="acme/shop", prompt="<b>fix</b> the login"), submitted_by="ann", deadline_at=BEGAN + timedelta(hours=1)
)


async def told(world: World, tenant: str = HOME) -> None:
    await world.say(TASK, SUBMITTED, TaskAssigned(pool="dev", attempt=1), tenant=tenant)
    await world.say(TASK, TaskStarted(attempt=1), tenant=tenant)
    await world.say(TASK, PhaseBegan(phase=Phase.AGENT, message="Running the agent..."), tenant=tenant)
    await world.say(
        TASK, AgentOutput(attempt=1, line=1, kind=Said.TOOL_RESULT, text="<script>alert(1)</script>\n\u202eline two"), tenant=tenant
    )
    await world.say(TASK, RunWaits(attempt=1, why=Wait.TOOL_CALL, approval_id="a1"), tenant=tenant)
    await world.say(TASK, RunGoesOn(attempt=1), tenant=tenant)


def link(tenant: str = HOME, task: str = TASK) -> str:
    return timeline_links.path(SEAL, TenantId(tenant), TaskId(task))


async def test_the_page_of_a_timeline_shows_what_happened_and_runs_nothing_of_it() -> None:
    world = World()
    await told(world)
    async with talking(world) as session, session.get(link()) as response:
        page = await response.text()
        assert (response.status, response.content_type) == (200, "text/html")
        assert "unsafe" not in response.headers["Content-Security-Policy"]
        assert response.headers["Referrer-Policy"] == "no-referrer"
    for words in ("acme/shop", "&lt;b&gt;fix&lt;/b&gt; the login", "by ann", "&lt;script&gt;alert(1)", "\\u202eline two", "tool call"):
        assert words in page
    assert "<script>" not in page
    assert "http-equiv" in page  # it goes on: the page comes again by itself


async def test_a_task_that_is_over_is_not_drawn_again_and_says_why_it_failed() -> None:
    world = World()
    await told(world)
    await world.say(TASK, TaskFailed(code="AGENT_FAILED", error="The agent <gave> up."))
    async with talking(world) as session, session.get(link()) as response:
        page = await response.text()
    assert "The agent &lt;gave&gt; up." in page
    assert "http-equiv" not in page


@pytest.mark.parametrize(
    "path",
    [
        link()[:-1] + ("A" if link()[-1] != "A" else "B"),
        link("other").replace("/other/", f"/{HOME}/"),
        link(task="0194589f6d0070008000000000000002").replace("0002/", "0001/"),
        link().rsplit("/", 1)[0] + "/-",
        link("other"),
        link(task="nosuch"),
        link().rsplit("/", 1)[0],
    ],
)
async def test_a_link_that_was_made_up_opens_nothing(path: str) -> None:
    world = World()
    await told(world)
    async with talking(world) as session, session.get(path) as response:
        assert (response.status, response.content_type) == (404, "text/html")
        assert "login" not in await response.text()


async def test_a_long_timeline_has_pages_and_a_place_that_is_none_is_refused_as_a_page() -> None:
    world = World()
    await told(world)
    for number in range(600):
        await world.say(TASK, AgentOutput(attempt=1, line=number + 2, kind=Said.MESSAGE, text=f"line {number}."))
    async with talking(world) as session:
        async with session.get(link()) as response:
            first = await response.text()
        assert "line 3." in first
        assert "line 599." not in first
        place = first.split('href="?after=')[1].split('"')[0]
        async with session.get(link(), params={"after": place}) as response:
            second = await response.text()
        assert "line 599." in second
        assert "line 3." not in second
        assert 'href="?after=' not in second
        async with session.get(link(), params={"after": "nonsense"}) as response:
            assert (response.status, response.content_type) == (400, "text/html")
