"""Striking a private key that comes line by line: each line of it alone has the shape of nothing."""

from __future__ import annotations

import re
from collections import deque
from typing import Final

KIND: Final = "private-key"
MARK: Final = f"[redacted:{KIND}]"
MOST_LINES: Final = 200
"""Lines of the longest key that anybody has; a beginning without an end is forgotten after them."""
MOST_QUIET: Final = 8
"""Lines one after the other that are none of a key: what began was only talked about, or was cut off."""
_BEGIN: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")
_END: Final = re.compile(r"-----END [A-Z0-9 ]{1,60}-----")
_BODY: Final = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
_PIECE: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_REST: Final = re.compile(r"[A-Za-z0-9+/]{1,76}={0,2}")


class KeyLines:
    """What is remembered from one line to the next, of one text that comes in pieces."""

    def __init__(self, before: str = "") -> None:
        """`before` is the last that was struck by somebody else: where it ends in a key, that may go on."""
        self._left = MOST_LINES if before.rstrip().endswith(MARK) else 0
        self._quiet = 0
        self._column: int | None = None
        self._here = False
        self._known: deque[str] = deque(maxlen=MOST_LINES)

    @property
    def known(self) -> tuple[tuple[str, str], ...]:
        """Lines of keys that came, with their kind: they may be told again elsewhere."""
        return tuple((KIND, line) for line in self._known)

    def text(self, text: str) -> str:
        """The next piece, of one line or several, without what belongs to a key that began in one before."""
        if not self._left and "-----BEGIN" not in text:
            return text
        self._here = False
        return "\n".join(self._line(line) for line in text.split("\n"))

    def short(self, display: str) -> str:
        """The same piece told in short, and perhaps cut off."""
        for line in self._known:
            display = display.replace(line, MARK)
        return _PIECE.sub(MARK, display)

    def _line(self, line: str) -> str:
        if self._left and (end := _END.search(line)):
            self._left = 0
            # Where the piece holds the beginning too, it is struck as a whole, up to the end.
            return MARK + (end[0] if self._here else "") + self._line(line[end.end() :])
        began = [*_BEGIN.finditer(line)]
        if began and not _END.search(line, began[-1].end()):
            self._left, self._quiet, self._column, self._here = MOST_LINES, 0, None, True
            return line
        return self._inside(line) if self._left else line

    def _inside(self, line: str) -> str:
        self._left -= 1
        if found := _BODY.search(line):
            self._quiet, self._column = 0, found.start()
            self._known.append(found[0])
            return _BODY.sub(MARK, line)
        if self._column is not None and _REST.fullmatch(rest := line[self._column :].rstrip("\r \t")):
            column, self._column = self._column, None
            self._known.append(rest)
            return line[:column] + MARK
        self._quiet += 1
        if self._quiet >= MOST_QUIET:
            self._left = 0
        return line
