"""Runs an agent of yours against a control plane in memory: submit tasks, answer what it asks, cancel, take leases away; needs no bus.

async with Kit(agent) as kit:
    task = kit.submit("bugfix", {"issue": "123"})
    (await task.question()).approve()
    assert (await task.over()).status == "succeeded"
"""

from trunkline.sdk.testkit.kit import Kit, KitTask, run
from trunkline.sdk.testkit.ledger import Asked as Question

__all__ = ["Kit", "KitTask", "Question", "run"]
