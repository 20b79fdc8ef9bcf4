"""The porter: the little program inside a sandbox that does one thing for us a call and answers in one line."""

from __future__ import annotations

import binascii
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from trunkline_sandbox.adapters.providers.remote.inside.ending import MARK, clear, end, end_one
from trunkline_sandbox.adapters.providers.remote.inside.parcel import BadParcel, pack, unpack
from trunkline_sandbox.adapters.providers.remote.inside.runs import Refusal, Run, held, locked, opened, write_whole
from trunkline_sandbox.adapters.providers.remote.inside.starting import begin, is_tree, throw_away
from trunkline_sandbox.adapters.providers.remote.inside.telling import entries, hold, tell

ANSWER = "trunkline: "
LOOK = 1 << 16
"""Bytes of a spool in one line: a multiple of what base64 takes at once would save nothing worth having."""
SOON, LATE = 0.002, 0.02
BEAT = 5.0
IDLE = 2.0
Answer = dict[str, object]


class Porter:
    """One sandbox by its folder."""

    def __init__(self, base: str) -> None:
        self.base, self.lock = base, os.path.join(base, "lock")
        self.workspace, self.home, self.desk = (os.path.join(base, name) for name in ("workspace", "home", "desk"))
        self.record, self.given = os.path.join(base, "record.json"), os.path.join(base, "given")
        self.mark = f"{MARK}={base}"

    def run(self, name: str) -> Run:
        return Run(os.path.join(self.base, "runs", name))

    def started(self, name: str) -> Run:
        run = self.run(name)
        if not os.path.exists(run.spool) or not (run.pid() or run.runs()):
            raise Refusal("RUN_NOT_FOUND", "nothing was started under this key")
        return run

    def all(self) -> list[Run]:
        with suppress(FileNotFoundError):
            return [self.run(name) for name in sorted(os.listdir(os.path.join(self.base, "runs")))]
        return []

    def make(self, *words: str) -> Answer:
        """Lay the sandbox out. The porter's own name and the runner's, then a record to be kept where there is none yet."""
        programs, new = words[:2], words[2] if len(words) > 2 else ""
        for name in ("workspace", "home", "runs", "shown", "tools", "desk"):
            os.makedirs(os.path.join(self.base, name), mode=0o700, exist_ok=True)
        with locked(self.lock):
            if new and not os.path.exists(self.record):
                with open(os.path.join(self.base, new), "rb") as file:
                    write_whole(self.record, file.read())
        if not os.path.exists(self.record):
            return {"record": None}
        with open(self.record) as kept:
            about = {"record": json.load(kept), "path": os.environ.get("PATH", ""), "cores": os.cpu_count() or 1}
        return {**about, "porter": compiled(self.base, programs[0]), "runner": compiled(self.base, programs[1])}

    def idle(self) -> None:
        """Wait a moment for an ended run to be gone altogether."""
        late = time.monotonic() + IDLE
        while any(run.runs() for run in self.all()):
            if time.monotonic() > late or not all(run.ended() for run in self.all() if run.runs()):
                raise Refusal("SANDBOX_RUNNING", "something runs in the sandbox; stop it first")
            time.sleep(0.005)

    def free(self) -> Answer:
        self.idle()
        return {"given": self.kept()}

    def kept(self) -> str:
        """The parcel that the workspace was last made from."""
        with suppress(FileNotFoundError), open(self.given) as file:
            return file.read()
        return ""

    def give(self, name: str, most: str) -> Answer:
        """Make the workspace from the parcel on the desk; once more with the same one changes nothing."""
        with locked(self.lock):
            self.idle()
            if self.kept() == name:
                return {}
            new, old = os.path.join(self.base, ".new"), os.path.join(self.base, ".old")
            for path in (new, old):
                throw_away(path)
            os.mkdir(new, 0o700)
            parcel = os.path.join(self.desk, name)
            import gzip  # dear, and most calls do without it

            with gzip.open(parcel, "rb") as source:
                unpack(source, new, int(most))  # type: ignore[arg-type]  # close enough to one
            os.rename(self.workspace, old)
            os.rename(new, self.workspace)
            write_whole(self.given, name.encode())
            throw_away(old)
            os.unlink(parcel)
        return {}

    def take(self, name: str, most: str) -> Answer:
        with locked(self.lock):
            self.idle()
            return self.copy(name, most)

    def copy(self, name: str, most: str, *without: str) -> Answer:
        """Pack the workspace as it stands; the size of the parcel."""
        for other in os.listdir(self.desk):
            if other.startswith("out-"):
                os.unlink(os.path.join(self.desk, other))
        if not is_tree(self.workspace):
            raise Refusal("BAD_WORKSPACE", "the workspace is no folder any more")
        path = os.path.join(self.desk, name)
        import gzip

        with gzip.open(path, "wb", compresslevel=1) as out:
            pack(self.workspace, out, int(most), tuple(os.fsencode(word) for word in without))  # type: ignore[arg-type]  # is written to only
        return {"size": os.path.getsize(path)}

    def start(self, name: str, order: str, runner: str) -> Answer:
        with locked(self.lock):
            begin(self.base, self.run(name), (order, runner), self.mark)
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self.base, order))
        return {}

    def tell(self, name: str, frame: str) -> Answer:
        path = os.path.join(self.desk, frame)
        with open(path, "rb") as file:
            tell(self.started(name), file.read())
        os.unlink(path)
        return {}

    def told(self, name: str) -> Answer:
        with opened(self.started(name).journal, os.O_RDONLY) as fd:
            return {"told": [known.decode("utf-8", "replace") for known, _ in entries(fd) if known]}

    def hold(self, still: str, name: str = "") -> Answer:
        """All that runs, or one start."""
        with locked(self.lock):
            for run in [self.run(name)] if name else self.all():
                if run.runs():
                    hold(run, still == "1")
        return {}

    def stop(self, name: str = "") -> Answer:
        """End all that runs; with a name nothing, if another start runs."""
        with locked(self.lock):
            going = [run for run in self.all() if run.runs()]
            if name and any(run.name != name for run in going):
                return {}
            for run in going:
                write_whole(run.stopping, b"killed")
            for run in going:
                end(run, self.mark.encode())
            for run in self.all():
                if run.pid():
                    run.seal()
        return {}

    def end(self, name: str) -> Answer:
        """End one start and no other."""
        with locked(self.lock):
            run = self.run(name)
            if run.runs():
                write_whole(run.stopping, b"killed")
                end_one(run)
                run.seal()
        return {}

    def forget(self, name: str) -> Answer:
        """Remove what was kept of a start that has ended; one that just did is waited for a moment."""
        with locked(self.lock):
            run, patience = self.run(name), time.monotonic() + IDLE
            while run.runs() and run.ended() and time.monotonic() < patience:
                time.sleep(SOON)
            if not run.runs():
                throw_away(os.path.join(self.base, "shown", name))
                throw_away(run.folder)
        return {}

    def settle(self, run: Run) -> None:
        """Its runner is gone: whatever it left is ended, and so is the run."""
        with locked(self.lock):
            if not run.ended():
                if not any(other.runs() for other in self.all()):
                    clear(self.mark.encode())
                run.seal()

    def read(self, name: str, at: str, wait: str) -> Answer:
        """What the spool holds from `at` on, or will hold within `wait` seconds; `over` when nothing will come any more."""
        data = self.look(self.started(name), int(at), time.monotonic() + float(wait))
        return {"data": text(data or b""), "over": data is None}

    def look(self, run: Run, at: int, until: float) -> bytes | None:
        with opened(run.spool, os.O_RDWR) as fd:
            pause = SOON
            while True:
                alive = held(fd)
                if data := os.pread(fd, LOOK, at):
                    return data
                if not alive and run.ended():
                    return None
                if not alive:
                    self.settle(run)
                elif time.monotonic() > until:
                    return b""
                else:
                    time.sleep(pause)
                    pause = min(LATE, pause * 1.5)

    def follow(self, name: str, at: str) -> Answer:
        """Print the spool from `at` on as it grows, a piece a line, and a dot while nothing comes."""
        run, here = self.started(name), int(at)
        while (data := self.look(run, here, time.monotonic() + BEAT)) is not None:
            here += len(data)
            say(text(data) if data else ".")
        return {"over": True}


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def compiled(base: str, name: str) -> str:
    """The program compiled, which starts in half the time; the one that was carried here where that cannot be."""
    import py_compile

    source, target = os.path.join(base, name), os.path.join(base, name + "c")
    try:
        if not os.path.exists(target):
            py_compile.compile(source, target, doraise=True)
    except (OSError, py_compile.PyCompileError):
        return name
    return name + "c"


def answer(call: Callable[..., Answer], words: list[str]) -> Answer:
    try:
        return call(*words)
    except Refusal as refusal:
        return {"refused": refusal.code, "why": str(refusal)}
    except BadParcel as error:
        return {"refused": "BAD_WORKSPACE", "why": str(error)}
    except OSError as error:
        return {"refused": "DISK_FULL" if error.errno in (28, 122) else "SANDBOX_BROKEN", "why": str(error)}


def main() -> None:
    """Arguments: a verb, then its own."""
    porter = Porter(os.path.dirname(os.path.realpath(__file__)))
    say(ANSWER + json.dumps(answer(getattr(porter, sys.argv[1]), sys.argv[2:])))


if __name__ == "__main__":
    main()
