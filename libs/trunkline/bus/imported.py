"""The mark of a record that came out of another log: it is history, so views fold it, and nobody acts on it again."""

from __future__ import annotations

from typing import Final

from nats.aio.msg import Msg

IMPORTED: Final = "Trunkline-Imported"
"""Header: the epoch of the log that it came from, and its sequence there."""


def is_imported(message: Msg) -> bool:
    return message.headers is not None and IMPORTED in message.headers
