"""How one account at Daytona is reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class DaytonaAccount:
    """The key opens all of it."""

    api_key: str = field(repr=False)
    api_url: str = "https://app.daytona.io/api"
    target: str = ""
    """The region; empty: the account's own."""
    snapshot: str = ""
    """What sandboxes are made from; empty: Daytona's own default."""
