"""The omnara dialect: agents in workflows that call home, and what starts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web
from pydantic import BaseModel

from trunkline.contracts.errors import DomainError
from trunkline_gateway.body import BodyReader
from trunkline_gateway.dialect import Route
from trunkline_gateway.dialects.omnara import encode
from trunkline_gateway.dialects.omnara.answers import Problem
from trunkline_gateway.dialects.omnara.names import CLAIMS, SURFACE
from trunkline_gateway.dialects.omnara.routes_github import GitHubRoutes
from trunkline_gateway.dialects.omnara.routes_instances import InstanceRoutes
from trunkline_gateway.dialects.omnara.routes_messages import MessageRoutes
from trunkline_gateway.dialects.omnara.routes_stream import StreamRoutes
from trunkline_gateway.dialects.omnara.visitors import InstanceCallers
from trunkline_gateway.sse import Streams
from trunkline_gateway.usecases.dispatching import Dispatching
from trunkline_gateway.usecases.instance_stream import InstanceStream


class Part(Protocol):
    """Some of the dialect's routes."""

    def routes(self) -> tuple[Route, ...]: ...


@dataclass(slots=True)
class Omnara:
    """`parts`: the routes, each kind in a module of its own."""

    visitors: InstanceCallers
    parts: Sequence[Part]
    name: str = field(default=SURFACE, init=False)
    claims: tuple[str, ...] = field(default=CLAIMS, init=False)
    error_model: type[BaseModel] = field(default=Problem, init=False)
    strict: bool = field(default=False, init=False)
    """What our own door does not know, `visitors` do, or it is refused."""

    def routes(self) -> tuple[Route, ...]:
        return tuple(route for part in self.parts for route in part.routes())

    def encode_error(self, error: DomainError) -> web.Response:
        return encode.refusal(error)


def parts(dispatching: Dispatching, stream: InstanceStream, streams: Streams, body: BodyReader) -> tuple[Part, ...]:
    """Every route of it."""
    instances = dispatching.instances
    return (MessageRoutes(instances, body), InstanceRoutes(instances, body), StreamRoutes(stream, streams), GitHubRoutes(dispatching, body))
