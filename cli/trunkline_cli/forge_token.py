"""The token for a private repository that goes with a task: from a variable, as a command line can be read by everybody on the machine."""

from __future__ import annotations

import os
import re
from typing import Final

from trunkline.contracts.errors import Invalid

GITHUB_TOKEN: Final = "TRUNKLINE_GITHUB_TOKEN"
"""Not GITHUB_TOKEN, which lies in many environments for other programs: a token is only sent on purpose."""
HEADER: Final = "X-GitHub-Token"
_ONE_WORD: Final = re.compile(r"[!-~]{8,1000}")


def forge_token() -> str:
    """Empty where none is set. Raises Invalid, and never says what it was."""
    text = os.environ.get(GITHUB_TOKEN, "").strip()
    if text and not _ONE_WORD.fullmatch(text):
        raise Invalid(f"{GITHUB_TOKEN} holds no token: one word of 8 to 1000 visible ASCII characters.", code="INVALID_GITHUB_TOKEN")
    return text
