"""How one account at E2B is reached."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class E2bAccount:
    """The key opens all of it."""

    api_key: str = field(repr=False)
    domain: str = "e2b.app"
    api_url: str = ""
    """Empty: as the domain says."""
    sandbox_url: str = ""
    """One address before all sandboxes; empty: as the domain says."""
    template: str = ""
    """What sandboxes are made from; empty: E2B's own `base`."""
    life_s: float = 3600.0
    """What the account lets a sandbox run for at one stretch: then it is ended, and a named one put to rest."""
