"""The environment that git runs in: nothing of the host's choosing, nothing of the repository's."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

# Given as command-line scope, which no configuration file of any repository can override.
SETTINGS: tuple[tuple[str, str], ...] = (
    ("safe.directory", "*"),  # Trees belong to the sandbox's user, repositories perhaps to the forge's.
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.attributesFile", "/dev/null"),
    ("core.excludesFile", "/dev/null"),
    ("core.sshCommand", "ssh -oBatchMode=yes"),
    ("credential.helper", ""),
    ("commit.gpgSign", "false"),
    ("i18n.commitEncoding", "utf-8"),
    ("protocol.ext.allow", "never"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.unpackLimit", "1"),  # One growing pack is cheap to weigh; a hundred thousand loose objects are not.
    ("fetch.writeCommitGraph", "false"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
)


def environment(allow: str = "none", extra: Mapping[str, str] | None = None, credentials: Path | None = None) -> dict[str, str]:
    """A fresh environment in which only the transport `allow` is open; `extra` may bring more settings.

    `credentials` is the socket where git asks for user and password, so that neither stands here.
    """
    brought = dict(extra or {})
    # Ours come last and win; the empty helper among them drops every other, so the one that is meant stands behind it.
    settings = [*_settings_in(brought), *SETTINGS, *(_asking(credentials) if credentials else ())]
    return {
        **brought,
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_ALLOW_PROTOCOL": allow,
        **numbered(settings),
    }


def numbered(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings as the environment variables by which git takes them."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        found[f"GIT_CONFIG_KEY_{number}"] = key
        found[f"GIT_CONFIG_VALUE_{number}"] = value
    return found


def _asking(socket: Path) -> Sequence[tuple[str, str]]:
    # Only ever `get`: told to store where nobody listens any more, git's own program starts a daemon that keeps the credential.
    ask = f'!f() {{ test "$1" != get || git credential-cache --socket={shlex.quote(str(socket))} get; }}; f'
    return (("credential.helper", ask), ("credential.useHttpPath", "true"))


def _settings_in(env: Mapping[str, str]) -> list[tuple[str, str]]:
    count = int(env.get("GIT_CONFIG_COUNT", "0"))
    return [(env[f"GIT_CONFIG_KEY_{number}"], env[f"GIT_CONFIG_VALUE_{number}"]) for number in range(count)]
