"""Who a client is: its credentials, shown to the gateway and to nobody else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

TOKEN: Final = "TRUNKLINE_TOKEN"
API_KEY: Final = "TRUNKLINE_API_KEY"
GITHUB_TOKEN: Final = "TRUNKLINE_GITHUB_TOKEN"
GITHUB_HEADER: Final = "X-GitHub-Token"
_ONE_WORD: Final = re.compile(r"[!-~]{1,8192}")
_OF_GITHUB: Final = re.compile(r"gh[a-z]_|github_pat_")


class Surface(Enum):
    """Which of the gateway's APIs is asked."""

    JOBS = "pr_agent"
    TASKS = "orchestrator"


class TokenPlace(Enum):
    """Where the caller's own GitHub token goes with a request."""

    NOWHERE = "nowhere"
    HEADER = "header"
    BODY = "body"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token of Trunkline's or an API key, and the caller's own token for GitHub; empty: none."""

    token: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    github: str = field(default="", repr=False)

    def headers(self, surface: Surface) -> dict[str, str]:
        """What says who asks. GitHub's token does where jobs are asked for and nothing of Trunkline's is there. Pure."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        if self.api_key:
            return {"X-API-Key": self.api_key}
        if self.github and surface is Surface.JOBS:
            return {"Authorization": f"Bearer {self.github}"}
        return {}

    @property
    def known(self) -> bool:
        return bool(self.token or self.api_key)


def credentials(token: str | None, api_key: str | None, github: str | None, environ: Mapping[str, str]) -> Credentials:
    """What was given, else what the environment says; one of our two credentials that was given keeps both others out.

    Raises ValueError, and never says what it was.
    """
    if token is None and api_key is None:
        token, api_key = environ.get(TOKEN), environ.get(API_KEY)
    github = environ.get(GITHUB_TOKEN) if github is None else github
    ours, key, theirs = _word(token, "token"), _word(api_key, "api_key"), _word(github, "github_token")
    if _OF_GITHUB.match(ours) or _OF_GITHUB.match(key):
        raise ValueError("that is a token of GitHub: give it as github_token, or in TRUNKLINE_GITHUB_TOKEN")
    if ours.count(".") != 2:  # as everywhere else, a key may be given in the token's place
        ours, key = "", ours or key
    return Credentials(ours, key, theirs)


def _word(text: str | None, name: str) -> str:
    text = (text or "").strip()
    if text and not _ONE_WORD.fullmatch(text):
        raise ValueError(f"{name} is no credential: one word of visible ASCII characters")
    return text
