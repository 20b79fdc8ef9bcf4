"""Watches over a deployment: looks at its health, and rolls it back where it is ill and somebody allows that.

Releases lie beside each other in a folder, and a link `current` says which is served:

    trunkline agent watchman        # with OPS_RELEASES, and TRUNKLINE_TOKEN of a role agent
    trunkline tasks create --type monitoring --payload '{"service": "api", "health_url": "http://127.0.0.1:8080/health", "previous": "1.4"}'
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Literal

import aiohttp
from pydantic import BaseModel, Field, HttpUrl

from trunkline import Agent, Context, TaskError

agent = Agent("ops_agent", at_once=8)


class Deployment(BaseModel):
    service: str = Field(pattern=r"^[\w-]{1,64}$")
    health_url: HttpUrl
    previous: str = Field(pattern=r"^[\w.-]{1,64}$")
    looks: int = Field(default=3, ge=1, le=100)
    pause_s: float = Field(default=5.0, gt=0, le=60)


class Report(BaseModel):
    outcome: Literal["healthy", "rolled_back", "left_ill"]
    saw: list[str]
    release: str


@agent.task("monitoring", "deployment")
async def watch(deployment: Deployment, ctx: Context) -> Report:
    current = releases() / deployment.service / "current"
    saw = []
    for look in range(1, deployment.looks + 1):
        saw.append(await health(str(deployment.health_url)))
        ctx.progress(f"looked {look} times: {saw[-1]}", look / deployment.looks)
        if saw[-1] == "ok":
            return Report(outcome="healthy", saw=saw, release=served(current))
        await asyncio.sleep(deployment.pause_s)
    ctx.say(f"{deployment.service} is ill: {saw[-1]}", is_error=True)
    await ctx.publish("deployment.ill", {"service": deployment.service, "saw": saw[-1]})
    back = current.parent / deployment.previous
    if not back.is_dir():
        raise TaskError(f"{deployment.service} is ill ({saw[-1]}), and there is no release {deployment.previous} to go back to")
    about = {"service": deployment.service, "from": served(current), "to": deployment.previous, "saw": list(saw)}
    if not await ctx.approve(f"Roll {deployment.service} back to {deployment.previous}?", about):
        return Report(outcome="left_ill", saw=saw, release=served(current))
    roll_back(current, deployment.previous)
    return Report(outcome="rolled_back", saw=saw, release=served(current))


def releases() -> Path:
    return Path(os.environ.get("OPS_RELEASES", "releases"))


def served(current: Path) -> str:
    return os.readlink(current) if current.is_symlink() else "nothing"


def roll_back(current: Path, release: str) -> None:
    """At once, for whoever reads the link; twice does no harm."""
    draft = current.with_name(f".current.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(release)
    draft.replace(current)


async def health(url: str) -> str:
    """`ok`, or what is the matter."""
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session, session.get(url) as answer:
            return "ok" if answer.status == 200 else f"it answers {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"it does not answer ({type(error).__name__})"


if __name__ == "__main__":
    agent.run()
