"""From lists and limits to what a pr_agent client reads."""

from __future__ import annotations

from typing import Final

from trunkline.contracts.views import TaskPage
from trunkline_gateway.dialects.pr_agent.encode import Object, fields
from trunkline_gateway.ports import Quota
from trunkline_gateway.usecases.own_jobs import Wish
from trunkline_gateway.usecases.tiers import Standing

WINDOWS: Final = {60: "minute", 3600: "hour", 86400: "day"}


def page(found: TaskPage, wish: Wish) -> Object:
    return {
        "jobs": [fields(view) for view in found.tasks],
        "total": found.total,
        "limit": wish.limit,
        "offset": wish.offset,
        "count": len(found.tasks),
    }


def standing(left: Standing, retry_after: int | None) -> Object:
    """`retry_after` in seconds."""
    named: Object = {WINDOWS.get(seconds, f"{seconds}s"): _window(quota) for seconds, quota in left.windows.items()}
    every: Object = {word: named.get(word, _window(None)) for word in WINDOWS.values()}
    tightest = _window(left.tightest)
    head: Object = {"tier": left.tier.value, "limits": {**every, **named}, **tightest}
    return {**head, "retryAfter": retry_after, "upgradeUrl": left.upgrade_url or None}


def _window(quota: Quota | None) -> Object:
    if quota is None:
        return {"limit": None, "remaining": None, "reset": None}
    return {"limit": quota.limit, "remaining": quota.remaining, "reset": quota.resets_at}
