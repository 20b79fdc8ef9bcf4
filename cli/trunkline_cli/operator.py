"""The operator's key and other credentials on this machine: made once by `up`, found again by whoever sits at the terminal."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import secrets
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from trunkline.contracts.errors import Invalid
from trunkline_cli import sources
from trunkline_cli.data_dir import write_private
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources

TOKEN: Final = "TRUNKLINE_TOKEN"
API_KEY: Final = "TRUNKLINE_API_KEY"
OPERATOR_FILE: Final = "operator.key"
DEV_FILE: Final = "dev.jwt"
VAULT_FILE: Final = "vault.key"
_CREDENTIAL: Final = re.compile(r"[!-~]{1,8192}")


def credential(args: argparse.Namespace, url: str) -> dict[str, str]:
    """The headers that say who asks: `--token-file`, TRUNKLINE_TOKEN, TRUNKLINE_API_KEY, or the operator's key if `url` is this machine's.

    Nothing when there is none. Raises Invalid for a file that cannot be read, or holds no credential.
    """
    if file := getattr(args, "token_file", None):
        return headers(_read(Path(file).expanduser()))
    for name in (TOKEN, API_KEY):
        if text := os.environ.get(name, "").strip():
            return headers(_checked(text, name))
    if not on_this_machine(url):
        return {}
    key = root_of(args) / OPERATOR_FILE
    return headers(_read(key)) if os.access(key, os.R_OK) else {}


def headers(text: str) -> dict[str, str]:
    """How a credential is shown: a token has two dots, and every key is an API key. Pure."""
    return {"Authorization": f"Bearer {text}"} if text.count(".") == 2 else {"X-API-Key": text}


def on_this_machine(url: str) -> bool:
    """Whether the address can only mean this machine, so that its key goes to nobody else. Pure."""
    name = urlsplit(url).hostname or ""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def key_files(said: Sources, root: Path) -> dict[str, str]:
    """The settings that name the files of our keys; those that nobody named are made in the data directory.

    Raises Invalid for settings of the gateway that do not fit.
    """
    from trunkline_gateway.settings import Settings  # loads the whole bus, which a command that only asks a gateway never needs

    gateway = said.load(Settings).settings
    found = {} if gateway.operator_key_file else {"operator_key_file": str(_made(root / OPERATOR_FILE))}
    if not (gateway.vault_key.get_secret_value() or gateway.vault_key_file):
        found["vault_key_file"] = str(_made(root / VAULT_FILE))
    if gateway.dev and not (gateway.jwt_secret.get_secret_value() or gateway.jwt_secret_file):
        found["jwt_secret_file"] = str(_made(root / DEV_FILE))
    return found


def root_of(args: argparse.Namespace) -> Path:
    """The data directory, as the flags, the environment and the settings file say."""
    known = argparse.Namespace(config=getattr(args, "config", None), data_dir=getattr(args, "data_dir", None))
    return sources.unchecked(known).load(StackSettings).settings.root()


def _made(path: Path) -> Path:
    """Made once; kept over restarts, so that what was handed out goes on working."""
    try:
        kept = len(path.read_text("utf-8").strip()) >= 32
    except (OSError, UnicodeDecodeError):
        kept = False
    if not kept or path.stat().st_mode & 0o077:  # what others could read may be known to them
        write_private(path, secrets.token_urlsafe(32))
    return path


def _read(path: Path) -> str:
    try:
        return _checked(path.read_text("utf-8").strip(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise Invalid(f"The credential in {path} cannot be read ({why}). Check --token-file.", code="NO_KEY_FILE") from None


def _checked(text: str, place: str) -> str:
    if not _CREDENTIAL.fullmatch(text):
        raise Invalid(f"{place} holds no credential: one line of visible ASCII, a token or an API key.", code="BAD_CREDENTIAL")
    return text
