"""A delivery is believed when it was signed with the secret, now, and as it came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.each import each
from trunkline.sdk.webhooks import WebhookError, sign, verify

SECRET, OTHER = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "a plain secret of one's own"
NOW = 1_700_000_000
EVENT = {"type": "job.completed", "timestamp": "2025-01-12T10:00:00.000Z", "data": {"jobId": "j1"}}
BODY = json.dumps(EVENT).encode()


def headers(body: bytes = BODY, secret: str = SECRET, at: int = NOW) -> dict[str, str]:
    return {"Webhook-Id": "msg_1", "webhook-timestamp": str(at), "WEBHOOK-SIGNATURE": sign(body, "msg_1", at, secret)}


def test_a_signature_is_that_of_standard_webhooks() -> None:
    signed = sign(b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, SECRET)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", [SECRET, OTHER])
def test_an_event_is_read_when_its_signature_holds(secret: str) -> None:
    event = verify(BODY, headers(secret=secret), secret, now=NOW)
    assert (event.id, event.type, event.data, event.timestamp.year) == ("msg_1", "job.completed", {"jobId": "j1"}, 2025)
    assert verify(BODY.decode(), headers(secret=secret), secret, now=NOW) == event
    assert (event.challenge, json.loads(event.answer)) == (None, {"received": True})


def test_while_a_secret_is_changed_either_holds() -> None:
    assert verify(BODY, headers(secret=OTHER), [SECRET, OTHER], now=NOW)
    both = headers() | {"WEBHOOK-SIGNATURE": f"v2,zzz {sign(BODY, 'msg_1', NOW, OTHER)} {sign(BODY, 'msg_1', NOW, SECRET)}"}
    assert verify(BODY, both, SECRET, now=NOW)


@pytest.mark.parametrize("off", [-301, 301])
def test_what_is_too_old_or_from_the_future_is_refused(off: int) -> None:
    with pytest.raises(WebhookError, match="too old"):
        verify(BODY, headers(at=NOW + off), SECRET, now=NOW)
    assert verify(BODY, headers(at=NOW + off), SECRET, tolerance_s=302, now=NOW)


@each(
    "changed",
    [
        {"Webhook-Id": "msg_2"},
        {"webhook-timestamp": str(NOW + 1)},
        {"WEBHOOK-SIGNATURE": "v1,"},
        {"WEBHOOK-SIGNATURE": "v1,not base64"},
        {"WEBHOOK-SIGNATURE": "v2," + sign(BODY, "msg_1", NOW, SECRET).removeprefix("v1,")},
        {"WEBHOOK-SIGNATURE": sign(BODY, "msg_1", NOW, OTHER)},
        {"Webhook-Id": ""},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "٣"},
    ],
)
def test_whatever_was_touched_is_refused(changed: dict[str, str]) -> None:
    with pytest.raises(WebhookError) as refused:
        verify(BODY, headers() | changed, SECRET, now=NOW)
    assert SECRET[6:] not in str(refused.value)


def test_a_body_that_was_touched_is_refused() -> None:
    with pytest.raises(WebhookError, match="none of the secrets"):
        verify(BODY + b" ", headers(), SECRET, now=NOW)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"type":"x","data":{}}', b'{"type":"x","timestamp":"soon","data":{}}'])
def test_what_is_signed_and_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(WebhookError, match="no event"):
        verify(body, headers(body), SECRET, now=NOW)


def test_a_challenge_is_said_back() -> None:
    body = json.dumps(EVENT | {"type": "webhook.verify", "data": {"challenge": "c-1"}}).encode()
    event = verify(body, headers(body), SECRET, now=NOW)
    assert (event.challenge, json.loads(event.answer)) == ("c-1", {"challenge": "c-1"})


@pytest.mark.parametrize("secrets", [[], [""], "", "whsec_", None])
def test_without_a_secret_nothing_is_believed(secrets: Any) -> None:
    with pytest.raises(ValueError, match="a secret is needed"):
        verify(BODY, headers(), secrets, now=NOW)
