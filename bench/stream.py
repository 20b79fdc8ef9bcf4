"""The row `stream`: from the print of a real agent in a real sandbox to the eyes of an SSE client."""

from __future__ import annotations

from bench.figures import Figure, at
from bench.plan import Plan
from bench.watching import Seen, real_stack, submit

PAUSE = 0.05
SECONDS = 5
AGENT = f"""python3 -c '
import time
for n in range({int(SECONDS / PAUSE)}):
    print("%.6f" % time.time(), flush=True)
    time.sleep({PAUSE})
open("answer.txt", "w").write("42\\n")
'"""


def measure(plan: Plan) -> list[Figure]:
    latencies: list[float] = []
    with real_stack(AGENT) as running:
        for round in range(plan.rounds):
            plan.say(f"stream: round {round + 1}/{plan.rounds}")
            job = submit(running)
            job.result()
            latencies += [latency(one) for one in job.seen if one.data["type"] == "agent"]
    return [
        Figure(f"agent output to SSE client, {1 / PAUSE:.0f} lines/s, p50", at(latencies, 0.5), "ms", "<= 20"),
        Figure("agent output to SSE client p99", at(latencies, 0.99), "ms"),
        Figure("agent output to SSE client, worst", max(latencies), "ms"),
    ]


def printed(one: Seen) -> float:
    """When the agent printed it, seconds on the same clock."""
    return float(one.data["output"])


def latency(one: Seen) -> float:
    return (one.at - printed(one)) * 1000
