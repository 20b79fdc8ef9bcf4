"""What agents on NATS say is stored without the secrets in it, and whoever says it again is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from tests.each import each
from trunkline.contracts.agent import Approve, Artifact, Ask, Progress, Publish, Report, Say, Submit, Text
from trunkline.contracts.message import Message
from trunkline.telemetry import logs
from trunkline_router.handlers.agent_struck import clean

TOKEN: Final = "ghp_" + "a1B2" * 9
MARK: Final = "[redacted:github-token]"
OWN: Final = "what-only-this-test-was-told"
ITEMS: Final = (Text(text=f"found {TOKEN}\nin a file"), Artifact(name="a", value=[{TOKEN: 1}]), Progress(text=TOKEN))
HELD: Final = {"task_id": "t", "lease": "l"}
LOUD: Final[dict[str, Callable[[], Any]]] = {
    "say": lambda: Say(**HELD, id="1", items=ITEMS),
    "report": lambda: Report(**HELD, reported="failed", error=f"secret {TOKEN}", result={"deep": [TOKEN]}, said=ITEMS),
    "ask": lambda: Ask(**HELD, id="1", question=TOKEN, about={"k": TOKEN}),
    "approve": lambda: Approve(**HELD, id="1", title=TOKEN, about={TOKEN: 1 << 70}),
    "submit": lambda: Submit(**HELD, id="1", type="bugfix", prompt=TOKEN, payload={"k": TOKEN}, metadata={"k": TOKEN}, branch=TOKEN),
    "publish": lambda: Publish(event_id="e", event_type="seen", source=TOKEN, payload={"k": TOKEN}, trace_id=TOKEN),
}  # fmt: skip
QUIET: Final = (
    Say(**HELD, id="1", items=(Text(text="looked,\nand found nothing at https://example.org/a"),)),
    Report(**HELD, reported="succeeded", result={"n": 1 << 70}),
    Ask(**HELD, id="1", question="Which label?"),
    Submit(**HELD, id="1", type="bugfix"),
)


@each("verb", LOUD)
def test_no_verb_stores_one(verb: str) -> None:
    said = clean(LOUD[verb]())
    written = said.model_dump_json()
    assert TOKEN not in written and MARK in written


@each("verb", LOUD)
def test_the_same_again_is_the_same_and_struck_it_is_left_alone(verb: str) -> None:
    said = clean(LOUD[verb]())
    assert clean(LOUD[verb]()) == said
    assert clean(said) is said


def test_what_stands_around_one_stays() -> None:
    said = clean(Say(**HELD, id="1", items=ITEMS))
    assert said.items == (
        Text(text=f"found {MARK}\nin a file"),
        Artifact(name="a", value=[{MARK: 1}]),
        Progress(text=MARK),
    )
    assert (said.task_id, said.lease, said.id) == ("t", "l", "1")


@each("wish", QUIET)
def test_what_holds_none_is_the_very_same(wish: Any) -> None:
    assert clean(wish) is wish


def test_what_this_process_was_told_in_confidence_is_struck_in_any_spelling() -> None:
    logs.shield(("own", OWN))
    spelt: tuple[Message, ...] = tuple(
        clean(Ask(**HELD, id="1", question=f"use {text} now?")) for text in (OWN, OWN.encode().hex(), OWN[:9] + "\n" + OWN[9:])
    )
    assert [each.question for each in spelt] == ["use [redacted:own] now?"] * 3  # type: ignore[attr-defined]
