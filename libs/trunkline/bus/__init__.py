"""The only door to nats and faststream: commands, the log, live timelines, work, timers and dead letters."""

from trunkline.bus.away import BusAway
from trunkline.bus.commands import Commands
from trunkline.bus.connection import Bus, connect
from trunkline.bus.counters import Counters
from trunkline.bus.delivery import LeaveAlone
from trunkline.bus.direct import Stored
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
    "Bell",
    "Bus",
    "BusAway",
    "BusSettings",
    "Commands",
    "Counters",
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
    "Raced",
    "Refused",
    "Rule",
    "Sealing",
    "Stored",
    "Timers",
    "Vault",
    "Window",
    "Work",
    "WorkItem",
    "connect",
    "key_of",
    "vault_key",
]
