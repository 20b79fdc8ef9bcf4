"""Recorded conversations with an agent, folded line by line as the carrier does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trunkline.contracts.run import AgentOutput
from trunkline_sandbox.model import AgentTask, Ending, Entry, Heard, Talk
from trunkline_sandbox.ports import Line

TASK = AgentTask("Make it say hello.")
FOLDER = Path(__file__).parents[2] / "recordings"


def versions(agent: str) -> list[str]:
    return sorted(folder.name for folder in (FOLDER / agent).iterdir() if folder.is_dir() and folder.name != "__pycache__")


@dataclass(frozen=True)
class Recorded:
    """What one version of an agent said, by the name of the scene."""

    agent: str
    version: str
    opening: Callable[[AgentTask], Talk]
    hear: Callable[[Line, Talk], Heard]

    @property
    def paths(self) -> list[Path]:
        return sorted((FOLDER / self.agent / self.version).glob("*.jsonl"))

    def talks(self, name: str, task: AgentTask = TASK) -> list[Heard]:
        """What was heard line by line."""
        path = FOLDER / self.agent / self.version / f"{name}.jsonl"
        talk, all_heard = self.opening(task), list[Heard]()
        for number, data in enumerate(path.read_bytes().splitlines(), 1):
            all_heard.append(self.hear(Line(number, data), talk))
            talk = all_heard[-1].talk
        return all_heard

    def heard(self, name: str, task: AgentTask = TASK) -> tuple[list[AgentOutput], Ending]:
        all_heard = self.talks(name, task)
        ending = all_heard[-1].talk.ending
        assert ending is not None
        return [said for one in all_heard for said in one.said], ending

    def owed(self, name: str, task: AgentTask = TASK) -> list[Entry]:
        return [entry for one in self.talks(name, task) for entry in one.owed]
