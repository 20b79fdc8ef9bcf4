"""Draws a pull request as one HTML page: no script, nothing fetched, everything escaped."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from typing import Final

from markdown_it import MarkdownIt

from trunkline.contracts.forge import PullRequestView
from trunkline_gateway.pages.diff import FileDiff, Row, parse
from trunkline_gateway.pages.sheet import TURNS, document

SIGN: Final = {"add": "+", "del": "&minus;", "same": "", "hunk": "", "note": ""}
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).disable(["image", "html_inline", "html_block"])
"""Markup of strangers: HTML in it is shown as text, pictures are not fetched, and links to scripts are no links."""


def page(view: PullRequestView, style: str) -> str:
    files = parse(view.diff)
    content = f"""<header><p class="where">{escape(view.repo)}</p>
<h1>{escape(view.title)} <span class="number">#{view.number}</span></h1>
<p class="refs"><code>{escape(view.base)}</code> <span aria-label="takes changes from">←</span> <code>{escape(view.head)}</code>
<span class="when">opened <time datetime="{escape(view.created_at)}">{escape(_moment(view.created_at))}</time></span></p></header>
{_body(view.body)}{_contents(files)}{"".join(_file(index, file) for index, file in enumerate(files))}{_cut(view)}"""
    return document(f"{view.title} · {view.repo} #{view.number}", content, style)


def _body(body: str) -> str:
    return f'<section class="said text">{_MARKDOWN.render(body)}</section>\n' if body.strip() else ""


def _moment(text: str) -> str:
    """As people read it; a time that is none is shown as it came."""
    with suppress(ValueError):
        return f"{datetime.fromisoformat(text).astimezone(UTC):%-d %B %Y, %H:%M} UTC"
    return text


def _contents(files: list[FileDiff]) -> str:
    if not files:
        return '<p class="said">This pull request changes nothing.</p>'
    plus, minus = sum(file.count("add") for file in files), sum(file.count("del") for file in files)
    entries = "".join(f'<li><a href="#f{index}">{escape(file.path)}</a> {_counts(file)}</li>' for index, file in enumerate(files))
    noun = "file" if len(files) == 1 else "files"
    total = f'<span class="plus">+{plus}</span> <span class="minus">&minus;{minus}</span>'
    return f"<nav><p><strong>{len(files)} {noun} changed</strong> {total}</p><ul>{entries}</ul></nav>\n"


def _counts(file: FileDiff) -> str:
    return f'<span class="plus">+{file.count("add")}</span> <span class="minus">&minus;{file.count("del")}</span>'


def _file(index: int, file: FileDiff) -> str:
    state = "" if file.state == "changed" else f' <span class="state">{escape(file.state)}</span>'
    rows = "".join(_row(row) for row in file.rows) or f'<tr class="note"><td colspan="4">{escape(file.state)}: no text to show</td></tr>'
    return f"""<details open id="f{index}"><summary><span class="path">{escape(file.path)}</span>{state} {_counts(file)}</summary>
<div class="scroll"><table><tbody>{rows}</tbody></table></div></details>
"""


def _row(row: Row) -> str:
    if row.kind in ("hunk", "note"):
        return f'<tr class="{row.kind}"><td colspan="4">{escape(row.text)}</td></tr>'
    code = escape(row.text.translate(TURNS))
    numbers = f'<td class="no">{row.old or ""}</td><td class="no">{row.new or ""}</td>'
    return f'<tr class="{row.kind}">{numbers}<td class="sign">{SIGN[row.kind]}</td><td class="code">{code}</td></tr>\n'


def _cut(view: PullRequestView) -> str:
    return '<p class="said">The diff goes on; fetch the branch to see all of it.</p>' if view.cut else ""
