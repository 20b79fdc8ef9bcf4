"""Takes single messages out of a stream, also where that was done before and its answer was lost."""

from __future__ import annotations

from typing import Final

from nats.js import JetStreamContext
from nats.js.errors import APIError

from trunkline.bus.patience import patiently

_GONE: Final = frozenset({10043, 10057})
"""What nats-server says of one that is gone: the first where older ones are still there, else the second."""


async def delete(js: JetStreamContext, stream: str, seq: int) -> None:
    """One that is gone is as good. Raises BusAway."""
    try:
        await patiently(lambda: js.delete_msg(stream, seq))
    except APIError as error:
        if error.err_code not in _GONE:
            raise
