"""Which variables a caller may give to the program of an agent: an allow-list, and what no list can allow. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

MOST: Final = 64
LONGEST: Final = 8192
"""Bytes of one value."""
_NAME: Final = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
NEVER: Final = (
    *("PATH", "HOME", "USER", "SHELL", "IFS", "ENV", "BASH_ENV", "BASH_FUNC_*", "PS4", "PROMPT_COMMAND", "TMPDIR"),
    *("LD_*", "DYLD_*", "GCONV_PATH", "GIT_*", "SSH_*", "PYTHON*", "PERL5*", "PERLLIB", "RUBY*", "NODE_OPTIONS", "NODE_PATH"),
    *("NODE_EXTRA_CA_CERTS", "NODE_TLS_*", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "*_CA_BUNDLE", "SSL_*", "CURL_*"),
    *("*_BASE_URL", "*_PROXY", "ANTHROPIC_*", "OPENAI_*", "CODEX_*", "OPENCODE_*", "CLAUDE_CONFIG_DIR", "CLAUDE_CODE_USE_*", "TRUNKLINE_*"),
    *("*_KEY", "*_TOKEN", "*_SECRET", "*_PASSWORD", "*_PASSPHRASE", "*_CREDENTIALS", "USER_ID"),
)
"""What changes which program runs, whom it speaks to or as whom, and what is a secret: that would be stored, and an agent would read it."""


def refused(name: str, allowed: Sequence[str]) -> str:
    """Why a variable of this name is not passed on; empty: it is. Patterns know `*`, and names are compared in capitals."""
    if not _NAME.match(name):
        return "a name is letters, digits and _, and begins with no digit"
    if is_never(name):
        return "no caller may set it"
    if not any(fnmatchcase(name.upper(), pattern.upper()) for pattern in allowed):
        return "it is not among those that this installation passes on (setting `job_env`)"
    return ""


def is_never(name: str) -> bool:
    """Whether no list can allow it."""
    return any(fnmatchcase(name.upper(), pattern) for pattern in NEVER)


def unfit(value: str) -> str:
    """Why a value cannot be one; empty: it can."""
    if "\0" in value:
        return "a value holds no NUL"
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return "a value is text that UTF-8 can write"
    return f"a value has at most {LONGEST} bytes" if size > LONGEST else ""


def passed(env: Mapping[str, str]) -> dict[str, str]:
    """What of it an agent's program gets, whoever let it in."""
    return {name: value for name, value in env.items() if _NAME.match(name) and not is_never(name) and not unfit(value)}
