"""Which requests an agent may make of which model API: two shapes, told apart by path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from aiohttp import web
from yarl import URL

from trunkline.contracts.errors import Invalid
from trunkline_sandbox.adapters.model.prices import Prices
from trunkline_sandbox.settings import Settings


class Shape(StrEnum):
    """How a model API is spoken to."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"

    @property
    def named(self) -> str:
        return "Anthropic" if self is Shape.ANTHROPIC else "OpenAI"

    @property
    def variable(self) -> str:
        """How the variables of its key and its address begin."""
        return self.name


class Purpose(StrEnum):
    """What a request is for."""

    MESSAGES = "messages"
    RESPONSES = "responses"
    CHAT = "chat"
    FREE = "free"
    """Nothing that is charged: token counts and lists of models."""


_MODELS = re.compile(r"\A/v1/models(?:/[A-Za-z0-9._:@-]{1,128})?\Z")
_POSTS: Mapping[str, tuple[Shape, Purpose]] = {
    "/v1/messages": (Shape.ANTHROPIC, Purpose.MESSAGES),
    "/v1/messages/count_tokens": (Shape.ANTHROPIC, Purpose.FREE),
    "/v1/responses": (Shape.OPENAI, Purpose.RESPONSES),
    "/v1/chat/completions": (Shape.OPENAI, Purpose.CHAT),
}
"""What an agent needs. Files, batches and the rest of the APIs would let a job spend or keep things beyond its end."""


def offered(method: str, path: str, speaks: Shape) -> tuple[Shape, Purpose] | None:
    """What this request is, None when it is nothing that the door offers; `speaks` decides where both APIs have the path."""
    if method == "POST":
        return _POSTS.get(path)
    return (speaks, Purpose.FREE) if method == "GET" and _MODELS.match(path) else None


def spoken(path: str, headers: Mapping[str, str]) -> Shape:
    """In which shape whoever asks this wants to be answered."""
    if path.startswith("/v1/messages") or "anthropic-version" in headers or "x-api-key" in headers:
        return Shape.ANTHROPIC
    return Shape.OPENAI if path.startswith("/v1/") else Shape.ANTHROPIC


@dataclass(frozen=True, slots=True)
class Upstream:
    """One model API behind the doors. Sizes in bytes, times in seconds."""

    api_key: str = field(repr=False)
    base_url: str = "https://api.anthropic.com"
    connect_s: float = 15.0
    silence_s: float = 300.0
    """The longest wait for the next byte; the API sends pings while it thinks."""
    total_s: float = 1800.0
    request_bytes: int = 32 << 20
    """The limit of the model API itself."""
    held_bytes: int = 128 << 20
    """Of the requests of one job that are under way, all together: they are held in memory."""
    response_bytes: int = 256 << 20
    at_once: int = 16
    """Requests of one job at the same time; sub-agents ask side by side."""

    def target(self, path: str, query: str) -> URL:
        """Programs of others want the address with /v1 at its end, so one that has it is understood too."""
        base = self.base_url.rstrip("/").removesuffix("/v1")
        return URL(base + path + (f"?{query}" if query else ""), encoded=True)


@dataclass(frozen=True, slots=True)
class Upstreams:
    """The model APIs that a door leads to, each where a key for it is configured, and what they cost."""

    anthropic: Upstream | None = None
    openai: Upstream | None = None
    prices: Prices = field(default_factory=Prices)
    tools: tuple[str, ...] = ()
    """Patterns of what may run at the provider, by the type of its tool."""

    @classmethod
    def configured(cls, settings: Settings) -> Upstreams:
        return cls(
            anthropic=Upstream(settings.anthropic_api_key.get_secret_value(), settings.anthropic_base_url),
            openai=Upstream(settings.openai_api_key.get_secret_value(), settings.openai_base_url),
            prices=Prices(settings.model_prices),
            tools=settings.model_tools_allowed,
        )

    def only(self, shape: Shape) -> Upstreams:
        """For an agent that speaks to one API and has no business with the other."""
        anthropic, openai = (self._named(each) if each is shape else None for each in (Shape.ANTHROPIC, Shape.OPENAI))
        return Upstreams(anthropic, openai, self.prices, self.tools)

    def of(self, shape: Shape) -> Upstream | None:
        """None where no key is configured."""
        upstream = self._named(shape)
        return upstream if upstream and upstream.api_key.strip() else None

    def check(self) -> None:
        """Raises Invalid MODEL_NOT_CONFIGURED with the remedy."""
        known = [(shape, upstream) for shape in Shape if (upstream := self.of(shape))]
        if not known:
            keys = " or ".join(f"{shape.variable}_API_KEY" for shape in Shape if self._named(shape))
            raise Invalid(f"no key for the model API is configured; set {keys or 'ANTHROPIC_API_KEY'}", code="MODEL_NOT_CONFIGURED")
        for shape, upstream in known:
            _check(shape, upstream)

    def _named(self, shape: Shape) -> Upstream | None:
        return self.anthropic if shape is Shape.ANTHROPIC else self.openai


def _check(shape: Shape, upstream: Upstream) -> None:
    if not upstream.api_key.isprintable():
        raise Invalid(f"{shape.variable}_API_KEY is no key: it holds a line break or the like", code="MODEL_NOT_CONFIGURED")
    url = URL(upstream.base_url)
    if url.scheme not in ("http", "https") or not url.host or url.user or url.query_string:
        told = f"{shape.variable}_BASE_URL is not a plain http or https address; correct it or leave it out"
        raise Invalid(told, code="MODEL_NOT_CONFIGURED")


def refusal(shape: Shape, status: int, kind: str, told: str) -> web.Response:
    """An error in the shape of the model API, and one that is not worth asking again where nothing would change."""
    anthropic = {"type": "error", "error": {"type": kind, "message": told}}
    openai = {"error": {"message": told, "type": kind, "param": None, "code": kind}}
    response = web.json_response(anthropic if shape is Shape.ANTHROPIC else openai, status=status)
    if status in (401, 402, 403):
        response.headers["x-should-retry"] = "false"
    return response
