"""The real omnara client, sync or async, driven by JSON lines: one call a line in, its answer or its error a line out.

A line with a list of arguments is as many calls at once, and their answers one line."""

import asyncio
import dataclasses
import json
import sys

import omnara

CALLS = {"sync": omnara.OmnaraClient, "async": omnara.AsyncOmnaraClient}


def plain(answer):
    return dataclasses.asdict(answer) if dataclasses.is_dataclass(answer) else answer


def failed(error):
    told = {"error": type(error).__name__, "text": str(error)}
    return {**told, "status": getattr(error, "status_code", None), "detail": getattr(error, "detail", None)}


async def at_once(calls):
    return await asyncio.gather(*calls)


def say(line):
    print(json.dumps(line), flush=True)


def speak(client, loop):
    for line in sys.stdin:
        call = json.loads(line)
        try:
            verb = getattr(client, call["name"])
            if isinstance(call["with"], list):
                answers = loop.run_until_complete(at_once([verb(**given) for given in call["with"]]))
                say({"answer": [plain(answer) for answer in answers]})
                continue
            answer = verb(**call["with"])
            say({"answer": plain(loop.run_until_complete(answer) if asyncio.iscoroutine(answer) else answer)})
        except Exception as error:
            say(failed(error))


kind, options = sys.argv[1], json.loads(sys.argv[2])
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
say({"version": omnara.__version__})
speak(CALLS[kind](**options), loop)
