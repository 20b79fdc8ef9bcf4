"""The run and its conversation: pure."""

from trunkline_sandbox.model.conversation import AgentTask, Ask, Ending, Entry, Heard, Skill, Talk, Verdict
from trunkline_sandbox.model.questions import Late, Questions, bracket, wait_of
from trunkline_sandbox.model.run import (
    Released,
    Run,
    Step,
    claim,
    concluded,
    evolve,
    is_last_exit,
    may_stop,
    needs_sandbox,
    next_step,
    status_of,
    stop_unclaimed,
    succeeded,
)

__all__ = [
    "AgentTask",
    "Ask",
    "Ending",
    "Entry",
    "Heard",
    "Late",
    "Questions",
    "Released",
    "Run",
    "Skill",
    "Step",
    "Talk",
    "Verdict",
    "bracket",
    "claim",
    "concluded",
    "evolve",
    "is_last_exit",
    "may_stop",
    "needs_sandbox",
    "next_step",
    "status_of",
    "stop_unclaimed",
    "succeeded",
    "wait_of",
]
