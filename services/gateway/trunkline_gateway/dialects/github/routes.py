"""The github dialect: one route, by which GitHub tells what happened there."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web
from pydantic import BaseModel

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline.auth.signatures import signed
from trunkline.contracts.errors import Denied, DomainError, Invalid, NotFound, Unauthenticated
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route, Spec, status_of
from trunkline_gateway.dialects.github import decode, encode
from trunkline_gateway.dialects.github.decode import Customs, Nothing, Start
from trunkline_gateway.dialects.github.schemas import Delivery, DeliveryHeaders, Heard, Problem
from trunkline_gateway.usecases.forge_news import ForgeNews, PullRequestNews
from trunkline_gateway.usecases.run_news import NOBODY, RunNews, WorkflowRunNews

WEBHOOKS: Final = "/api/v1/github/webhooks"
_DELIVERY: Final = re.compile(r"[A-Za-z0-9-]{8,64}")
HEAR: Final = Spec(
    "Hear what happened on GitHub",
    decode.SURFACE,
    "A comment that begins with the command, or the label, starts a task; an ended pull request and a workflow run are told to theirs.",
    headers=DeliveryHeaders,
    body=Delivery,
    answers={200: Heard, 202: Heard},
    refusals=(400, 401, 404, 413, 415, 429, 503),
)


@dataclass(slots=True)
class GitHub:
    """Everything below `/api/v1/github`. `secrets`: the present one, and the one before it while both are in use."""

    news: ForgeNews
    runs: RunNews
    body: BodyReader
    customs: Customs
    secrets: tuple[bytes, ...] = field(repr=False)
    name: str = field(default=decode.SURFACE, init=False)
    claims: tuple[str, ...] = field(default=("/api/v1/github",), init=False)
    error_model: type[BaseModel] = field(default=Problem, init=False)
    strict: bool = field(default=False, init=False)
    visitors: None = field(default=None, init=False)

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", WEBHOOKS, Action.FORGE_NEWS, self._hear, HEAR, "github.webhooks"),)

    def encode_error(self, error: DomainError) -> web.Response:
        return _json(encode.error(error), status_of(error))

    async def _hear(self, request: web.Request, _: Principal) -> web.Response:
        await self._check(request)
        told = decode.delivery(await self.body.json(request))
        name, event = _one(request, "X-GitHub-Delivery"), _one(request, "X-GitHub-Event")
        if not _DELIVERY.fullmatch(name):
            raise Invalid("X-GitHub-Delivery is no id of a delivery", code="BAD_DELIVERY", field="X-GitHub-Delivery")
        if event == "ping":
            return _json(encode.pong(), 200)
        return _json(await self._acted(decode.wanted(event, told, self.customs), name), 202)

    async def _check(self, request: web.Request) -> None:
        """Over the raw bytes, and before anything of them is read."""
        if not self.secrets:
            told = "no secret for GitHub's webhooks is configured; set GITHUB_WEBHOOK_SECRET to the one that GitHub signs with"
            raise NotFound(told, code="NO_WEBHOOK_SECRET")
        if not signed(await self.body.raw(request), request.headers.get("X-Hub-Signature-256", ""), self.secrets):
            raise Unauthenticated("X-Hub-Signature-256 is not the signature of this body by our secret", code="BAD_SIGNATURE")

    async def _acted(self, wish: Start | PullRequestNews | WorkflowRunNews | Nothing, delivery: str) -> Heard:
        try:
            match wish:
                case Start():
                    return encode.started(await self.news.start(wish.repo, wish.login, wish.assignment, delivery))
                case PullRequestNews():
                    return await self._ended(wish, delivery)
                case WorkflowRunNews():
                    return await self._ran(wish)
                case Nothing():
                    return encode.ignored(wish.reason)
        except Denied as error:
            return encode.ignored(error.message)

    async def _ended(self, news: PullRequestNews, delivery: str) -> Heard:
        try:
            return encode.noted(await self.news.ended(news, delivery))
        except NotFound:
            return encode.ignored("that task has no such pull request")

    async def _ran(self, news: WorkflowRunNews) -> Heard:
        try:
            await self.runs.told(news)
        except NotFound:
            return encode.ignored("nothing of ours started that run")
        return encode.noted(None if news.task == NOBODY else news.task)


def _one(request: web.Request, header: str) -> str:
    """Raises Invalid where it stands twice, or not at all."""
    said = request.headers.getall(header, [])
    if len(said) != 1:
        raise Invalid(f"{header} must be given once", code="BAD_DELIVERY", field=header)
    return said[0]


def _json(body: BaseModel, status: int) -> web.Response:
    return web.Response(body=body.model_dump_json(exclude_none=True).encode(), status=status, content_type="application/json")
