"""The sheet that every page is drawn on: no script, nothing fetched."""

from __future__ import annotations

from html import escape
from typing import Final

TURNS: Final = {point: f"\\u{point:04x}" for point in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
"""Characters that turn the writing direction could show a reader another program than the one that runs."""


def document(title: str, content: str, style: str, again_s: int = 0) -> str:
    """A whole page; the browser asks for it again after `again_s` seconds, if any."""
    again = f'<meta http-equiv="refresh" content="{again_s}">' if again_s else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">{again}<title>{escape(title)}</title><style>{style}</style></head>
<body><main>{content}</main><footer>Trunkline</footer></body></html>
"""


def problem(title: str, text: str, style: str) -> str:
    """A page for what went wrong."""
    return document(title, f'<header><h1>{escape(title)}</h1></header><p class="said">{escape(text)}</p>', style)
