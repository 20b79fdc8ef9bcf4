"""The book of the log's witness, in the data directory of its relay."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from trunkline.audit.book import Book, Imprint, open_book
from trunkline.auth.audit_keys import audit_key
from trunkline_relay.settings import Settings

KEY: Final = "audit.key"


def audit_book(settings: Settings) -> Book | None:
    """None where there is no data directory. Raises Broken (BOOK_DAMAGED), Invalid (BAD_AUDIT_KEY), OSError."""
    folder = settings.audit_folder()
    if folder is None or settings.data_dir is None:
        return None
    key = audit_key(settings.audit_key_file or settings.data_dir / KEY)
    return open_book(folder, key, settings.audit_copy_file, Imprint(settings.relay_instance, timedelta(days=settings.events_days)))
