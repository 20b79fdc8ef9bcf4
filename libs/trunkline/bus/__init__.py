"""The only door to nats and faststream: commands, the log, live timelines, work, timers and dead letters."""

from trunkline.bus.agent_calls import AgentCalls, Told
from trunkline.bus.away import BusAway
from trunkline.bus.callout import Callout, Connected, Connections, Shown
from trunkline.bus.commands import Commands
from trunkline.bus.connection import Bus, connect
from trunkline.bus.counters import Counters
from trunkline.bus.delivery import LeaveAlone, PassOn, Poison
from trunkline.bus.direct import Stored
from trunkline.bus.elsewhere import Elsewhere
from trunkline.bus.handing import Handed, Handing, Hands
from trunkline.bus.inlet import Inlet
from trunkline.bus.ledger import Heard, Ledger
from trunkline.bus.limits import Hit, Limits, Look, Refused, Rule, Window, key_of
from trunkline.bus.live import Live
from trunkline.bus.log import Loaded, Log
from trunkline.bus.memos import Memo, Memos
from trunkline.bus.nudges import Bell, Nudges
from trunkline.bus.publish import Raced
from trunkline.bus.pull import How
from trunkline.bus.settings import BusSettings
from trunkline.bus.timers import Timers
from trunkline.bus.vault import Sealing, Vault, vault_key
from trunkline.bus.work import Work, WorkItem

__all__ = [
    "AgentCalls",
    "Bell",
    "Bus",
    "BusAway",
    "BusSettings",
    "Callout",
    "Commands",
    "Connected",
    "Connections",
    "Counters",
    "Elsewhere",
    "Handed",
    "Handing",
    "Hands",
    "Heard",
    "Hit",
    "How",
    "Inlet",
    "LeaveAlone",
    "Ledger",
    "Limits",
    "Live",
    "Loaded",
    "Log",
    "Look",
    "Memo",
    "Memos",
    "Nudges",
    "PassOn",
    "Poison",
    "Raced",
    "Refused",
    "Rule",
    "Sealing",
    "Shown",
    "Stored",
    "Timers",
    "Told",
    "Vault",
    "Window",
    "Work",
    "WorkItem",
    "connect",
    "key_of",
    "vault_key",
]
