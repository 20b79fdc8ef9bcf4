"""Whose account it is: an App's by its settings, or whoever's token was given."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from trunkline.auth.tokens import app_assertion
from trunkline.contracts.errors import Denied, Invalid
from trunkline.github.app import AppOptions, Rights
from trunkline.github.calls import Caller

_TOKEN: Final = re.compile(r"\A[\x21-\x7e]{1,1000}\Z")


class Given:
    """api.Credential by a token that somebody gave."""

    def __init__(self, token: str) -> None:
        """Raises Denied for none, Invalid for what cannot be one: it would end a header or a line."""
        if not token:
            text = "No credential for GitHub is there: set GITHUB_TOKEN, or an App's id and key file, or give a token with the task."
            raise Denied(text, code="FORGE_CREDENTIAL")
        if not _TOKEN.match(token):
            raise Invalid("The token for GitHub is none: a token is one word of plain characters.", code="FORGE_CREDENTIAL")
        self._caller = Caller(f"token/{sha256(token.encode()).hexdigest()[:16]}", token)

    async def caller(self) -> Caller:
        return self._caller

    def drop(self, caller: Caller) -> None:
        """There is no other one."""


def app_of(app_id: str, key_file: Path | None, rights: Rights, now: float) -> AppOptions | None:
    """None where no App is set. Raises Invalid when one half is missing, or the key is none."""
    if not app_id and key_file is None:
        return None
    if not app_id or key_file is None:
        text = "A GitHub App needs both its id (github_app_id) and its key (github_app_key_file); set both, or neither."
        raise Invalid(text, code="FORGE_NOT_CONFIGURED")
    try:
        key = key_file.expanduser().read_text("ascii")
    except (OSError, ValueError) as error:
        text = f"The GitHub App's key cannot be read from {key_file.name} ({type(error).__name__}); check the path and its rights."
        raise Invalid(text, code="APP_KEY_UNREADABLE") from None
    app_assertion(app_id, key, now)
    return AppOptions(app_id, key, rights)
