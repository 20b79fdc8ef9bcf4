"""The views as they lie there, row by row, so that somebody who folded the log anew can compare."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trunkline.contracts.message import Command, Message

View = Literal["task", "alias", "tally", "approval", "dispatch", "said", "used"]
Key = tuple[str | int, ...]


class ReadRows(Command):
    """Read the rows of one view in the order of their keys, of all tenants: for the doctor."""

    type: str = "read_rows"
    view: View
    after: Key = ()
    """Behind this key; of none, from the first on."""
    only: Key = ()
    """This row alone, and what it holds."""
    alive: bool = False
    """Only tasks that are not over, and what each row holds."""
    limit: int = Field(default=500, ge=1, le=2_000)


class ViewRow(Message):
    key: Key
    digest: str
    """Of all that the row holds; two rows of one digest are the same."""
    holds: str = ""


class RowsRead(Message):
    form: str
    """Names the code that folded them: rows of another form may well differ."""
    rows: tuple[ViewRow, ...]
