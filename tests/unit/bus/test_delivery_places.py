"""Where a delivered message lies in its stream, read from the subject that acknowledges it."""

from __future__ import annotations

import pytest
from nats.aio.msg import Msg

from trunkline.bus.delivery import seq_of


@pytest.mark.parametrize(
    "reply",
    [
        "$JS.ACK.EVENTS.relay-webhooks.3.70001.812.1700000000000000000.64",
        "$JS.ACK._.kTxhrqKu.EVENTS.relay-webhooks.3.70001.812.1700000000000000000.64",
        "$JS.ACK.hub.kTxhrqKu.EVENTS.relay-webhooks.3.70001.812.1700000000000000000.64.a1b2c3",
    ],
)
def test_a_place_is_what_nats_py_reads(reply: str) -> None:
    message = Msg(None, reply=reply)  # type: ignore[arg-type]
    assert seq_of(message) == message.metadata.sequence.stream == 70001
