"""The pages of the local forge: its pull requests have no other home."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from aiohttp import web
from pydantic import BaseModel, Field

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.contracts.errors import DomainError, NotFound
from trunkline_gateway.dialect import Media, Route, Spec, status_of
from trunkline_gateway.pages import pull_request
from trunkline_gateway.usecases import Tasks

ROOT: Final = "/forge/local"
NUMBERS: Final = "[1-9][0-9]{0,8}"
TITLES: Final = {404: "Not here", 405: "Not like this", 500: "Something broke", 503: "Not just now"}

HTML: Final = Media("text/html")


class Place(BaseModel):
    """Where a pull request is found."""

    owner: str = Field(max_length=100, examples=["acme"])
    name: str = Field(max_length=100, examples=["shop"])
    number: int = Field(ge=1, lt=10**9)


SPEC: Final = Spec(
    "A pull request of the local forge",
    "pages",
    "Its branches, its text and its diff, as a page without scripts.",
    path=Place,
    answers={200: HTML},
)


@dataclass(slots=True)
class Pages:
    """Everything below `/forge/local`, errors included, as HTML."""

    tasks: Tasks
    name: str = field(default="pages", init=False)
    claims: tuple[str, ...] = field(default=(ROOT,), init=False)
    error_model: Media = field(default=HTML, init=False)
    strict: bool = field(default=False, init=False)
    _style: str = field(init=False)
    _policy: str = field(init=False)

    def __post_init__(self) -> None:
        self._style = (files(__package__) / "style.css").read_text("utf-8")
        digest = base64.b64encode(hashlib.sha256(self._style.encode()).digest()).decode()
        self._policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

    def routes(self) -> tuple[Route, ...]:
        path = f"{ROOT}/{{owner}}/{{name}}/pulls/{{number:{NUMBERS}}}"
        return (Route("GET", path, Action.READ_PULL_REQUEST, self._pull_request, SPEC),)

    def encode_error(self, error: DomainError) -> web.Response:
        status = status_of(error)
        return self._page(pull_request.problem(TITLES.get(status, "That did not work"), error.message, self._style), status)

    async def _pull_request(self, request: web.Request, principal: Principal) -> web.Response:
        place = request.match_info
        try:
            view = await self.tasks.pull_request(principal, f"{place['owner']}/{place['name']}", int(place["number"]))
        except NotFound:
            raise NotFound("There is no such pull request.") from None
        return self._page(pull_request.page(view, self._style))

    def _page(self, html: str, status: int = 200) -> web.Response:
        headers = {"Content-Security-Policy": self._policy}
        return web.Response(text=html, status=status, content_type="text/html", charset="utf-8", headers=headers)
