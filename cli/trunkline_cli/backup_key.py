"""The key that backups are sealed with: one that was named, else that of the vault, without which a restored vault could not be opened."""

from __future__ import annotations

from pathlib import Path

from trunkline.bus import vault_key
from trunkline.contracts.errors import Unsupported
from trunkline_cli.operator import VAULT_FILE
from trunkline_cli.services import settings_of
from trunkline_cli.sources import Sources


def key_of(said: Sources, root: Path | None, named: Path | None) -> bytes:
    """32 bytes. Raises Invalid for a key that is none, Unsupported NO_BACKUP_KEY where there is none."""
    key: bytes = vault_key("", named) if named else getattr(said.load(settings_of("relay")).settings, "sealing_key", b"")
    if not key and root and (root / VAULT_FILE).is_file():
        key = vault_key("", root / VAULT_FILE)
    if not key:
        message = (
            "A backup holds secrets, and there is no key to seal it with: set TRUNKLINE_VAULT_KEY_FILE to the key of the vault, "
            "or name one by --key-file (`openssl rand -hex 32 > backup.key`)."
        )
        raise Unsupported(message, code="NO_BACKUP_KEY")
    return key
