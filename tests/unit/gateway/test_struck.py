"""What callers send holds no secret of a known shape any more when it is passed on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.task import Assignment
from trunkline.telemetry import secret_shapes
from trunkline_gateway.usecases import struck

TOKEN = "ghp_" + "a1B2" * 9
JSON = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


def test_a_task_is_passed_on_without_the_secrets_in_it() -> None:
    wish = Assignment(
        prompt=f"Use {TOKEN} to push.", payload={"deep": [{TOKEN: f"x {TOKEN}"}]}, metadata={"n": 1}, labels={"user_id": TOKEN}
    )
    clean = struck.assignment(wish)
    assert TOKEN not in clean.model_dump_json()
    assert clean.prompt == "Use [redacted:github-token] to push."
    assert clean.metadata == wish.metadata


def test_a_task_without_a_secret_is_passed_on_as_it_is() -> None:
    wish = Assignment(prompt="Fix the login bug", payload={"issue": 7, "names": ["a", None]})
    assert struck.assignment(wish) is wish


@given(JSON)
def test_what_has_no_hint_of_a_secret_is_the_very_same(value: object) -> None:
    if not secret_shapes.hinted(repr(value)):
        assert struck.values(value) is value  # type: ignore[type-var]


@given(st.text(), st.text())
def test_the_quick_look_never_misses_what_the_slow_one_finds(before: str, after: str) -> None:
    said = f"{before} {TOKEN} {after}"
    assert secret_shapes.hinted(said) and TOKEN not in struck.text(said)
