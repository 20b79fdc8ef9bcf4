"""Refuses names in a query that a route does not know, before its handler is asked: misspelt, one would be passed over in silence."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from trunkline.auth.policy import Action
from trunkline.auth.principal import Principal
from trunkline_gateway.dialect import Route
from trunkline_gateway.dialects.orchestrator import reading


def strict(route: Route) -> Route:
    """The route, which says in the API document that it refuses so.

    As they are stay what anybody may look at, where monitors and browsers add names of their own, and a query whose model ignores others.
    """
    model = route.spec.query
    if route.rule is Action.LOOK_AROUND or (model and model.model_config.get("extra") == "ignore"):
        return route
    known = frozenset(reading.names(model) if model else ())
    handler = route.handler

    async def asked(request: web.Request, principal: Principal) -> web.StreamResponse:
        if request.rel_url.raw_query_string:
            reading.check_known(request.query, known)
        return await handler(request, principal)

    return replace(route, handler=asked, spec=replace(route.spec, refusals=(*route.spec.refusals, 422)))
