"""The two pages as text, and what a browser may load for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trunkline_gateway.apidocs.shipped import Asset

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Both viewers write styles into their elements; nothing else of them needs an exception."""
REDOC_POLICY: Final = f"{POLICY}; worker-src blob:"
"""ReDoc searches in a worker that it makes of its own text."""


def swagger_ui(assets: Mapping[str, Asset]) -> str:
    style = f'<link rel="stylesheet" href="{assets["swagger-ui.css"].path}">'
    return _page("Trunkline API", style + _script(assets["swagger-ui-bundle.js"]) + _script(assets["start-swagger-ui.js"]))


def redoc(assets: Mapping[str, Asset]) -> str:
    return _page("Trunkline API reference", _script(assets["redoc.standalone.js"]) + _script(assets["start-redoc.js"]))


def _script(asset: Asset) -> str:
    return f'<script src="{asset.path}" defer></script>'


def _page(title: str, head: str) -> str:
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><link rel="icon" href="data:,"><style>body {{ margin: 0 }}</style>{head}</head>
<body><main id="docs"></main>
<noscript>This page needs JavaScript. What it shows is at <a href="/openapi.json">/openapi.json</a>.</noscript></body></html>
"""
