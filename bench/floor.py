"""The floor: the shortest honest nats-py program that does the same job with the same durability."""

from __future__ import annotations

import asyncio
import json
import sys

import nats
import uvloop
from nats.aio.msg import Msg
from nats.js import api

LINES = [json.dumps({"type": "agent", "line": n, "text": f"line {n} of what the agent has to say about its work"}) for n in range(20)]
RESULT = json.dumps({"type": "result", "branch": "trunkline/work", "commit": "c" * 40, "pull_request": 1})

STREAMS_WITHIN = 30.0


async def work(url: str, gathered: bool) -> None:
    """Take tasks, tell 20 events and a result, each stored and acknowledged before the next; `gathered` stores the 20 as one."""
    servers = url.split(",")
    js = (await nats.connect(servers)).jetstream(timeout=STREAMS_WITHIN)
    copies = len(servers)
    feed = api.RePublish(src="evt.>", dest="live.evt.>")
    await js.add_stream(name="EVENTS", subjects=["evt.>"], republish=feed, num_replicas=copies)
    await js.add_stream(name="WORK", subjects=["work.>"], retention=api.RetentionPolicy.WORK_QUEUE, num_replicas=copies)

    async def carry(message: Msg) -> None:
        task = message.data.decode()
        for body in ["\n".join(LINES)] if gathered else LINES:
            await js.publish(f"evt.{task}", body.encode())
        await js.publish(f"evt.{task}", RESULT.encode())
        await message.ack()

    async with asyncio.TaskGroup() as group:

        async def take(message: Msg) -> None:
            group.create_task(carry(message))

        await js.subscribe("work.dev", durable="dev", stream="WORK", cb=take, manual_ack=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1], sys.argv[2] == "gathered"))
