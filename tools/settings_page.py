"""Writes docs/reference/settings.md: every setting with its names, its default and the reason for it."""

from __future__ import annotations

from tools.bus_page import table
from trunkline_cli.services import NAMES, settings_of
from trunkline_cli.settings import StackSettings
from trunkline_cli.sources import Sources, every_field, every_row, is_secret

HEAD = """# Settings

Written by `make docs` from the settings models; do not edit. `trunkline settings` shows the same with the values in force and where each
came from.

A setting gets its value from its flag, else from the environment, else from one TOML file (`--config FILE`, else `TRUNKLINE_CONFIG`,
else `./trunkline.toml`, else `<data_dir>/trunkline.toml`), else from its default. In the file a setting has the name of the first
column. Secrets have no flag, since everybody on a machine can read a command line. Times are seconds, and sizes are bytes unless the
name says `_mb`.

"""
TAIL = """
`TRUNKLINE_URL`, `TRUNKLINE_TOKEN` and `TRUNKLINE_API_KEY` are no settings: they tell the command line which gateway to speak to, and what
to show there.
"""


def page() -> str:
    secret = {name for name, field in every_field() if is_secret(field)}
    rows = [
        (f"`{row.name}`", "" if row.name in secret else _flag(row.name), f"`{row.env}`", row.value, readers(row.name), _plain(row.reason))
        for row in every_row(Sources({}, {}, {}))
    ]
    return HEAD + table(("setting", "flag", "variable", "default", "read by", "reason"), rows) + TAIL


def readers(name: str) -> str:
    """The command line and the services whose models have the setting."""
    found = [service for service in NAMES if name in settings_of(service).model_fields]
    every = ["all services"] if len(found) == len(NAMES) else found
    return ", ".join([*(["up"] if name in StackSettings.model_fields else []), *every])


def _flag(name: str) -> str:
    return f"`--{name.replace('_', '-')}`"


def _plain(text: str) -> str:
    """Angle brackets are text here, not markup."""
    return text.replace("<", "&lt;")
