"""The pages: pull requests of the local forge, which have no other home, and timelines for whoever holds their link."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field

from trunkline.auth import timeline_links
from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.cursor import Cursor
from trunkline.contracts.errors import DomainError, NotFound
from trunkline.contracts.ids import TaskId, TenantId
from trunkline_gateway.dialect import PARTS, Media, Route, Spec, status_of
from trunkline_gateway.pages import pull_request, timeline
from trunkline_gateway.pages.sheet import problem
from trunkline_gateway.usecases import Tasks
from trunkline_gateway.usecases.shown import Shown

ROOT: Final = "/forge/local"
NUMBERS: Final = "[1-9][0-9]{0,8}"
NAME: Final = "[A-Za-z0-9_-]{1,64}"
TITLES: Final = {400: "Not like this", 404: "Not here", 405: "Not like this", 500: "Something broke", 503: "Not just now"}

HTML: Final = Media("text/html")


class Place(BaseModel):
    """Where a pull request is found."""

    owner: str = Field(max_length=100, examples=["acme"])
    name: str = Field(max_length=100, examples=["shop"])
    number: int = Field(ge=1, lt=10**9)


class TimelinePlace(BaseModel):
    """Where a timeline is found, and the proof that the link was given."""

    tenant: str = Field(max_length=64, examples=["public"])
    task: str = Field(max_length=64, examples=["0194589f6d0070008000000000000001"])
    key: str = Field(max_length=64, examples=["q0Jm5o1u8Zk2r4T6y8Wc3A"])


class After(BaseModel):
    """Which page of it."""

    after: str | None = Field(None, max_length=100, description="The id of the last event on the page before.")


SPEC: Final = Spec(
    "A pull request of the local forge",
    "pages",
    "Its branches, its text and its diff, as a page without scripts.",
    path=Place,
    answers={200: HTML},
)
TIMELINE: Final = Spec(
    "The timeline of a task",
    "pages",
    "What became of it, where the time went, and what happened, as a page without scripts; its link stands in the pull request.",
    path=TimelinePlace,
    query=After,
    answers={200: HTML},
    refusals=(400,),
)


@dataclass(slots=True)
class Pages:
    """Everything below `/forge/local` and `/timeline`, errors included, as HTML."""

    tasks: Tasks
    shown: Shown
    name: str = field(default="pages", init=False)
    claims: tuple[str, ...] = field(default=(ROOT, timeline_links.ROOT), init=False)
    error_model: Media = field(default=HTML, init=False)
    strict: bool = field(default=False, init=False)
    visitors: None = field(default=None, init=False)
    _style: str = field(init=False)
    _policy: str = field(init=False)

    def __post_init__(self) -> None:
        self._style = (files(__package__) / "style.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self._policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    def routes(self) -> tuple[Route, ...]:
        path = f"{ROOT}/{{owner}}/{{name}}/pulls/{{number:{NUMBERS}}}"
        timelines = f"{timeline_links.ROOT}/{{tenant:{NAME}}}/{{task:{NAME}}}/{{key:{NAME}}}"
        return (
            Route("GET", path, Action.READ_PULL_REQUEST, self._pull_request, SPEC),
            Route("GET", timelines, Action.READ_SHOWN, self._timeline, TIMELINE),
        )

    def encode_error(self, error: DomainError) -> web.Response:
        status = status_of(error)
        return self._page(problem(TITLES.get(status, "That did not work"), error.message, self._style), status)

    async def _pull_request(self, request: web.Request, principal: Principal) -> web.Response:
        place = request[PARTS]
        try:
            view = await self.tasks.pull_request(principal, f"{place['owner']}/{place['name']}", int(place["number"]))
        except NotFound:
            raise NotFound("There is no such pull request.") from None
        return self._page(pull_request.page(view, self._style))

    async def _timeline(self, request: web.Request, principal: Principal) -> web.Response:
        place, after = request[PARTS], request.query.get("after")
        asked = TenantId(place["tenant"]), TaskId(place["task"]), place["key"]
        story = await self.shown.story(*asked, Cursor.parse(after) if after else None)
        now = self.tasks.now()
        stretches = timeline.paces(story.course, story.view.ended_at or now)
        sheet = timeline.Sheet(story.view, story.items, stretches, str(story.next) if story.next else None, now)
        return self._page(timeline.page(sheet, self._style))

    def _page(self, html: str, status: int = 200) -> web.Response:
        headers = {"Content-Security-Policy": self._policy, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
        return web.Response(text=html, status=status, content_type="text/html", charset="utf-8", headers=headers)
