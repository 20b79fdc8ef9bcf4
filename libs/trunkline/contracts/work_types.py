"""The words for kinds of work, and which of them mean the same."""

from __future__ import annotations

from typing import Final

OLDER_WORDS: Final = {
    "faq": "faq_update",
    "deploy": "deployment",
    "investigate": "incident",
    "monitor": "monitoring",
    "alert": "incident",
    "kb_update": "knowledge_sync",
}
"""Words that older clients say, and what they mean."""


def canonical(word: str) -> str:
    """The type that a caller's word means, whatever its case."""
    plain = word.strip().lower()
    return OLDER_WORDS.get(plain, plain)
