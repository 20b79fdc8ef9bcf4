"""Webhooks speak the words of the timelines, and sign as Standard Webhooks says."""

from __future__ import annotations

import base64

import pytest

from tests.each import each
from trunkline.contracts.errors import Invalid
from trunkline_gateway.dialects.orchestrator import facts
from trunkline_relay.model import signing
from trunkline_relay.model.hook_events import WORDS, check_events, told, word_for

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'


def test_every_fact_has_the_word_of_its_timeline() -> None:
    assert {fact: facts._TOLD[fact][0] for fact in WORDS} == WORDS


@each(
    ("patterns", "word", "name"),
    [
        (("*",), "task.completed", "task.completed"),
        (("task.*",), "task.failed", "task.failed"),
        (("job.completed",), "task.completed", "job.completed"),
        (("job.*",), "task.failed", "job.failed"),
        (("job.*", "task.completed"), "task.completed", "task.completed"),
        (("job.*",), "task.cancelled", "job.failed"),
        (("job.failed", "task.*"), "task.cancelled", "task.cancelled"),
        (("job.completed",), "task.cancelled", None),
        (("*",), "task.cancelled", "task.cancelled"),
        (("approval.decided",), "approval.requested", None),
        (("approval.*",), "approval.requested", "approval.requested"),
    ],
)
def test_an_event_is_named_as_it_was_asked_for(patterns: tuple[str, ...], word: str, name: str | None) -> None:
    assert word_for(patterns, word) == name


@each("event", ["", "**", "task", "task.", "task.nothing", "agent.*", "agent.output", "nobody.*", "task.*.x", "*.created"])
def test_what_never_happens_cannot_be_asked_for(event: str) -> None:
    with pytest.raises(Invalid):
        check_events((event,))


def test_what_agents_and_strangers_say_is_not_told() -> None:
    assert told("task")
    assert told("approval-x")
    assert not any(told(part) for part in ("output", "message", "spend"))


def test_signatures_are_those_of_the_standard() -> None:
    """The first vector is the one of the standard's own libraries; the others were made with the package standardwebhooks 1.1.0."""
    key = signing.key_of(SECRET)
    headers = signing.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, [key])
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    both = signing.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, BODY, [b"k" * 32, key])["webhook-signature"].split(" ")
    assert both[1] == headers["webhook-signature"]
    assert both[0] == VECTOR


VECTOR = "v1,+qNgyReIHqPuR060oMQ+nyzPsJZG+OFv/pI9RG/w4Ts="


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_secret_may_have_24_to_64_bytes(size: int) -> None:
    assert signing.key_of(signing.written(b"x" * size)) == b"x" * size


def test_a_plain_text_of_sixteen_characters_is_a_secret_too() -> None:
    assert signing.key_of("your-webhook-secret") == b"your-webhook-secret"


@pytest.mark.parametrize(
    "secret", ["short", "whsec_", "whsec_!!!!", signing.written(b"x" * 23), signing.written(b"x" * 65), "sixteen chars \n…"]
)
def test_what_can_be_guessed_or_is_no_secret_is_refused(secret: str) -> None:
    with pytest.raises(Invalid) as refused:
        signing.key_of(secret)
    assert refused.value.code == "BAD_WEBHOOK_SECRET"
    assert base64.b64encode(secret.encode()).decode() not in refused.value.message
