"""A program for the agent `command` that is spoken to: agent and model in one, by a script. Run: `python3 spoken_program.py script.json`.

The script is {"turns": [[["say", text] | ["shell", command] | ["wait", seconds], ...], ...], "asked": path}. Turn i is what its model
answers when it answered i times before; each time the whole history is appended to `asked`, as a model would get it.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from uuid import uuid4


class Over(Exception):
    """The turn was interrupted, or there is nobody any more."""


class Program:
    def __init__(self, script):
        self.turns, self.asked = script["turns"], Path(script["asked"])
        self.inbox, self.waiting = queue.Queue(), []
        self.calls = 0
        threading.Thread(target=self._listen, daemon=True).start()
        self.task = self.inbox.get()
        before = self.task.get("resume")
        self.session = str(uuid4()) if not before or self.task["fork"] else before
        self.history = json.loads(self._file(before).read_text()) if before else []
        tell(type="session", id=self.session)

    def run(self):
        if self.task["text"]:
            self.turn({"text": self.task["text"]})
        while (told := self._next()) is not None:
            if told["type"] == "message":
                tell(type="heard", id=told["id"])
                self.turn(told)

    def turn(self, told):
        self.history.append({"user": told["text"]})
        try:
            while self._answer():
                pass
        except Over:
            self.history.append({"user": "[interrupted]"})
        self._file(self.session).parent.mkdir(exist_ok=True)
        self._file(self.session).write_text(json.dumps(self.history))
        tell(type="turn_over")

    def _answer(self):
        """One answer of the model; True when it used a tool and so is asked again."""
        with self.asked.open("a") as log:
            log.write(json.dumps(self.history) + "\n")
        steps = self.turns[min(len([one for one in self.history if "model" in one]), len(self.turns) - 1)]
        self.history.append({"model": steps})
        for kind, value in steps:
            if kind == "say":
                tell(type="message", text=value)
            elif kind == "wait":
                self._sleep(value)
            else:
                self._shell(value)
        self._take_messages()
        return any(kind == "shell" for kind, _ in steps)

    def _shell(self, command):
        self.calls += 1
        id = f"{self.session}-{len(self.history)}-{self.calls}"
        tell(type="tool_call", tool="Shell", input={"command": command}, id=id)
        if self.task["supervised"]:
            verdict = self._permission(id, command)
            if verdict["verdict"] == "deny":
                self.history.append({"tool": "denied: " + verdict["reason"]})
                return tell(type="tool_result", tool="Shell", output=verdict["reason"], is_error=True, id=id)
            command = verdict["input"]["command"]
        process = subprocess.Popen(["sh", "-c", command], stdout=-1, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            while process.poll() is None:
                self._sleep(0.02)
        finally:
            process.kill()
        output = process.communicate()[0].decode()
        self.history.append({"tool": output})
        tell(type="tool_result", tool="Shell", output=output, id=id)

    def _permission(self, id, command):
        tell(type="permission_request", id=id, tool="Shell", input={"command": command}, description="run it")
        while True:
            told = self.inbox.get()
            if told is None or told["type"] == "interrupt":
                self.inbox.put(told) if told is None else None
                raise Over
            if told["type"] == "permission" and told["id"] == id:
                return told
            if told["type"] == "message":
                self.waiting.append(told)

    def _sleep(self, seconds):
        """Awake for an interrupt; messages wait for the next answer of the model."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                told = self.inbox.get(timeout=left)
            except queue.Empty:
                return
            if told is None:
                self.inbox.put(None)
                raise Over
            if told["type"] == "interrupt":
                raise Over
            if told["type"] == "message":
                self.waiting.append(told)

    def _take_messages(self):
        for told in self.waiting:
            tell(type="heard", id=told["id"])
            self.history.append({"user": told["text"]})
        self.waiting = []

    def _next(self):
        return self.waiting.pop(0) if self.waiting else self.inbox.get()

    def _file(self, session):
        return Path.home() / ".conversation" / f"{session}.json"

    def _listen(self):
        for line in sys.stdin:
            self.inbox.put(json.loads(line))
        self.inbox.put(None)


def tell(**line):
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    Program(json.loads(Path(sys.argv[1]).read_text())).run()
