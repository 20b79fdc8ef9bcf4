"""How much a list is asked for: what makes no sense is refused by every surface in its own shape, and its owner is never asked."""

from __future__ import annotations

from tests.dialects.world import World, speaking, talking
from trunkline.auth.principal import HOME, Principal, Role
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route
from trunkline_gateway.sse import StreamLimits, Streams

ADMIN = Principal(HOME, "admin-user", Role.ADMIN)
HEX = "0194589f6d0070008000000000000001"
UUID = "0194589f-6d00-7000-8000-000000000001"
IDS = {
    "task_id": f"task_{HEX}", "trace_id": "t-1", "webhook_id": f"wh_{HEX}", "webhookId": f"wh_{HEX}", "instance_id": UUID,
    "agent_instance_id": UUID, "id": UUID,
}  # fmt: skip
NEEDED = {"taskId": "t", "owner": "acme", "repo": "shop"}
"""What is asked for beside how much."""
LIMITS = ("limit", "message_limit")
NONSENSE = ("-1", "1000000000", "x", "1.5", "", "9" * 400)
FILTERED = {"/tasks", "/usage", "/dead-letters", "/webhooks", "/webhooks/{webhook_id}/deliveries", "/schedules", "/traces/{trace_id}"}
"""A word that these do not know may be a filter that is misspelt. What only the document's own lists or other surfaces do not know is
not looked at, as with the servers they come from."""
READING = [
    route
    for dialect in speaking(World(), Streams(StreamLimits()), BodyReader())
    for route in dialect.routes()
    if route.method == "GET" and route.spec.query and ":" not in route.path
]
LISTS = [(route, name) for route in READING for name in LIMITS if route.spec.query and name in route.spec.query.model_fields]


def _asked(route: Route) -> tuple[str, dict[str, str]]:
    """Its path, and what it needs besides."""
    known = route.spec.query.model_fields if route.spec.query else {}
    return route.path.format_map(IDS), {name: text for name, text in NEEDED.items() if name in known}


async def test_a_limit_that_makes_no_sense_is_refused_before_anybody_is_asked() -> None:
    world, let_in = World(principal=ADMIN), []
    async with talking(world) as session:
        for route, name in LISTS:
            path, beside = _asked(route)
            for many in (*NONSENSE, *(() if name == "message_limit" else ("0",))):
                async with session.get(path, params={**beside, name: many}) as answer:
                    said = await answer.text()
                if answer.status not in (400, 422) or name not in said or world.sent:
                    let_in.append((path, f"{name}={many[:10]}", answer.status, said[:200]))
                world.sent.clear()
    assert let_in == []


async def test_a_word_that_may_be_a_filter_misspelt_is_refused() -> None:
    world, found = World(principal=ADMIN), set()
    async with talking(world) as session:
        for route in (route for route in READING if not route.streams):
            path, beside = _asked(route)
            async with session.get(path, params={**beside, "limti": "1"}) as answer:
                if answer.status == 422 and "limti" in await answer.text() and not world.sent:
                    found.add(route.path)
            world.sent.clear()
    assert found == FILTERED
