"""What a handler may raise, and what it may get to feel, as a small family of exceptions."""

from __future__ import annotations


class TaskError(Exception):
    """Raise it in a handler to fail the task with a sentence for people. `mendable`: another try may end better.

    Any other exception fails the task too, and is taken for mendable: what is told of it is its type and its text.
    """

    def __init__(self, message: str, *, mendable: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.mendable = mendable


class PayloadError(TaskError):
    """The payload is not what the handler takes; no other try will change that."""


class UnansweredError(TaskError):
    """Nobody answered what was asked, or somebody refused to."""


class AgentError(Exception):
    """The agent as such cannot go on: no way to the bus, a credential that does not count, a handler that cannot be."""


class AwayError(AgentError):
    """Nobody answered in time; it may be asked again."""


class RefusedError(AgentError):
    """The control plane refused. `code` is stable and in capitals."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(f"{message} [{code}]")
        self.message = message
        self.code = code


def words_of(error: BaseException) -> str:
    """What it says of itself, such that it can be told: that of strangers may raise in its turn, or be no text."""
    try:
        return readable(str(error))
    except Exception:
        return "(what it says cannot be read)"


def readable(text: str) -> str:
    """With half characters written out, as they come from names of files, for no JSON can hold them."""
    return text.encode("utf-8", "backslashreplace").decode()
