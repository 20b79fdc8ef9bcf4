"""Draws the timeline of a task: what became of it, a picture of where the time went, and one row for each thing that happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from itertools import pairwise
from typing import Final

from trunkline.contracts.record import Event, Gap
from trunkline.contracts.run import PhaseBegan, RunGoesOn, RunWaits
from trunkline.contracts.task import ENDS, TaskHeld, TaskReleased, TaskSubmitted
from trunkline.contracts.views import TaskView
from trunkline_gateway.pages.sheet import TURNS, document
from trunkline_gateway.pages.telling import Told, told

AGAIN: Final = 5
"""Seconds until a page of a task that is not over is drawn anew."""


@dataclass(frozen=True, slots=True)
class Pace:
    """A stretch of time and what went on in it, in seconds since the task was asked for."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one page shows. `next` is where the next one begins; nothing on the last."""

    view: TaskView
    items: Sequence[Event | Gap]
    paces: Sequence[Pace]
    next: str | None
    now: datetime


def page(sheet: Sheet, style: str) -> str:
    view = sheet.view
    rows = "".join(_row(item, view.submitted_at) for item in sheet.items)
    over, last = view.status.terminal, sheet.next is None
    onward = "" if last else f'<p class="more"><a href="?after={escape(sheet.next or "")}">What happened then</a></p>'
    content = f"""{_header(sheet)}{_picture(sheet.paces)}
<div class="scroll said"><table class="timeline"><thead><tr><th>after</th><th></th><th>what happened</th></tr></thead>
<tbody>{rows}</tbody></table></div>{onward}"""
    return document(f"{_status(view)} · {_title(view)}", content, style, AGAIN if last and not over else 0)


def paces(events: Iterable[Event], now: datetime) -> list[Pace]:
    """Where the time went: each stretch ends where the next begins; what is waited for cuts a phase in two."""
    marks: list[tuple[str, datetime]] = []
    phase = "queue"
    for event in events:
        match event.fact:
            case TaskSubmitted() | TaskReleased():
                marks.append(("queue", event.at))
            case TaskHeld() | RunWaits():
                marks.append(("waiting", event.at))
            case PhaseBegan(phase=begun):
                phase = begun.value
                marks.append((phase, event.at))
            case RunGoesOn():
                marks.append((phase, event.at))
            case fact if isinstance(fact, ENDS):
                marks.append(("", event.at))
    start = marks[0][1] if marks else now
    ends = [*marks, ("", now)] if not marks or marks[-1][0] else marks
    seconds = [(name, (at - start).total_seconds()) for name, at in ends]
    return [Pace(name, began, ended) for (name, began), (_, ended) in pairwise(seconds) if ended > began and name]


def _header(sheet: Sheet) -> str:
    view = sheet.view
    asked = view.assignment
    where = escape(asked.repo or view.pool or "task")
    opened = view.pull_request_url or ""
    number = f"#{view.pull_request}" if view.pull_request else ""
    link = f'<a href="{escape(opened)}">pull request {number}</a>' if opened.startswith(("https://", "http://")) else ""
    cost = view.used.cost_usd
    spent = f"${cost:.4f}" if cost else ""
    took = _duration(((view.ended_at or sheet.now) - view.submitted_at).total_seconds())
    facts = " · ".join(filter(None, (f"{took}", escape(view.agent or ""), spent, link)))
    wrong = f'<p class="said bad">{_plain(view.error)}</p>' if view.error else ""
    return f"""<header><p class="where">{where}</p><h1>{_plain(_title(view))}</h1>
<p class="refs"><code class="{_tone(view)}">{_status(view)}</code> {facts}</p></header>{wrong}"""


def _picture(stretches: Sequence[Pace]) -> str:
    whole = sum(each.ended - each.began for each in stretches)
    if not whole:
        return ""
    bars, x = [], 0.0
    for each in stretches:
        width = (each.ended - each.began) / whole * 1000
        words = escape(f"{each.name}: {_duration(each.ended - each.began)}")
        place = f'x="{x:.1f}" width="{max(width, 1.0):.1f}" height="18"'
        bars.append(f'<rect class="{escape(each.name)}" {place}><title>{words}</title></rect>')
        x += width
    picture = f'<svg viewBox="0 0 1000 18" preserveAspectRatio="none" role="img">{"".join(bars)}</svg>'
    return f'<section class="said paces">{picture}{_legend(stretches)}</section>'


def _legend(stretches: Sequence[Pace]) -> str:
    names = dict.fromkeys(each.name for each in stretches)
    spent = {name: sum(each.ended - each.began for each in stretches if each.name == name) for name in names}
    entries = "".join(f'<li><b class="{escape(name)}"></b>{escape(name)} {_duration(seconds)}</li>' for name, seconds in spent.items())
    return f"<ul>{entries}</ul>"


def _row(item: Event | Gap, start: datetime) -> str:
    if isinstance(item, Gap):
        return '<tr class="bad"><td></td><td>gap</td><td>What happened here is not kept any more.</td></tr>'
    known = told(item.fact)
    if known is None:
        return ""
    after = _duration((item.at - start) / timedelta(seconds=1))
    when = f'<td class="no"><time datetime="{item.at.isoformat()}" title="{item.at:%Y-%m-%d %H:%M:%S} UTC">{after}</time></td>'
    return f'<tr class="{known.tone}">{when}<td class="label">{escape(known.label)}</td><td>{_text(known)}</td></tr>\n'


def _text(known: Told) -> str:
    if not known.more:
        return _plain(known.text)
    return f"<details><summary>{_plain(known.text)}</summary><pre>{_plain(known.more)}</pre></details>"


def _plain(text: str) -> str:
    return escape(text.translate(TURNS))


def _title(view: TaskView) -> str:
    lines = (view.assignment.prompt or view.assignment.type or "task").strip().splitlines()
    return lines[0][:120] if lines else "task"


def _status(view: TaskView) -> str:
    return f"waiting ({view.waiting_for.replace('_', ' ')})" if view.waiting_for else view.status.value.replace("_", " ")


def _tone(view: TaskView) -> str:
    ended = {"succeeded": "good", "failed": "bad", "cancelled": "bad"}
    return "asks" if view.waiting_for else ended.get(view.status.value, "")


def _duration(seconds: float) -> str:
    """As people say it: `0.42 s`, `3 min 5 s`, `2 h 4 min`."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
