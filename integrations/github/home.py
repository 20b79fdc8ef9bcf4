"""Runs an agent in a GitHub workflow and calls home: Trunkline hears what it says, asks and changes, and it hears what people answer."""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import queue
import random
import secrets
import shlex
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Any

TRIES, LONGEST_PAUSE_S, CALL_S, MOST_DIFF = 10, 30.0, 30, 120_000
MOST_TEXT = MOST_LINE = 20_000
"""Characters, and bytes: a body of 256 KiB holds both, were each of them written as six."""
GATHER_S, MANY, GATHER_LATER_S = 1.0, 2000, 5.0
"""After so many messages they come less often: an instance holds 10,000, and a run lasts six hours."""
MOST_VARIABLE = 100_000
"""Linux takes 128 KiB in one; stdin has all of it."""
QUESTION = "?? "
GRACE_S = 2.0
"""A cancelled workflow has some ten seconds in all."""
AUTHOR = ("-c", "user.name=trunkline-agent", "-c", "user.email=trunkline-agent@users.noreply.github.com")


class Over(Exception):
    """Nobody at home listens to this agent any more."""


class Refused(Exception):
    """Said wrongly; it would be no better the next time."""


class Away(Exception):
    """Nobody is at home just now."""

    def __init__(self, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.wait = wait


@dataclass
class Home:
    """Where to call. What is said again after a lost answer carries the same Idempotency-Key, and is kept once."""

    url: str
    instance: str
    key: str = field(repr=False)
    tries: int = TRIES

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        name = uuid.uuid4().hex
        for tried in range(1, self.tries + 1):
            try:
                return self._once(method, path, body, name)
            except Away as away:
                if tried == self.tries:
                    raise
                note(f"home does not answer ({away}); try {tried} of {self.tries}")
                time.sleep(away.wait or min(LONGEST_PAUSE_S, 2.0 ** (tried - 1)) * random.uniform(0.5, 1.0))
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, body: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", "Idempotency-Key": name}
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode(errors="replace")
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=CALL_S) as answer:
                told: dict[str, Any] = json.loads(answer.read())
                return told
        except urllib.error.HTTPError as refusal:
            raise _refusal(refusal) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Away(f"{type(error).__name__}: {error}") from None

    def say(self, text: str, **more: Any) -> dict[str, Any]:
        return self.call("POST", "/api/v1/messages/agent", {"agent_instance_id": self.instance, "content": text, **more})

    def heard(self, last: str) -> list[dict[str, Any]]:
        """What people said behind `last`."""
        path = f"/api/v1/messages/pending?agent_instance_id={self.instance}&last_read_message_id={last}"
        return list(self.call("GET", path)["messages"])

    def move(self, status: str) -> None:
        self.call("PUT", f"/api/v1/agent-instances/{self.instance}/status", {"status": status})

    def end(self) -> None:
        self.call("POST", "/api/v1/sessions/end", {"agent_instance_id": self.instance})

    def beat(self) -> None:
        self.call("POST", f"/api/v1/agents/instances/{self.instance}/heartbeat")

    def run(self, environ: Mapping[str, str]) -> None:
        """Which run this is, so that nobody must look for it."""
        repository, run_id = environ["GITHUB_REPOSITORY"], int(environ["GITHUB_RUN_ID"])
        url = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}/actions/runs/{run_id}"
        attempt = int(environ.get("GITHUB_RUN_ATTEMPT", "1"))
        told = {"run_id": run_id, "run_attempt": attempt, "repository": repository, "url": url}
        self.call("PUT", f"/api/v1/agent-instances/{self.instance}/run", told)


def _refusal(refusal: urllib.error.HTTPError) -> Exception:
    try:
        detail = str(json.loads(refusal.read()).get("detail", ""))
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        detail = ""
    if refusal.code == 401:
        return Over(detail or "the key opens nothing any more")
    if refusal.code == 429 or refusal.code >= 500:
        wait = refusal.headers.get("Retry-After", "")
        return Away(f"HTTP {refusal.code}", min(float(wait), 120.0) if wait.isdigit() else 0.0)
    return Refused(f"HTTP {refusal.code} {detail}")


@dataclass
class Agent:
    """The program that does the work. Spoken to (`talk`), its stdin stays open for JSON lines; else it holds the task and ends."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]
    talk: bool
    lines: queue.Queue[str | None] = field(default_factory=lambda: queue.Queue(1000))
    """What it printed; None: it will print nothing more."""

    @classmethod
    def start(cls, command: str, task: str, environ: Mapping[str, str], talk: bool) -> Agent:
        pipe = subprocess.PIPE
        process = subprocess.Popen(shlex.split(command), stdin=pipe, stdout=pipe, env=dict(environ), start_new_session=True)
        assert process.stdin and process.stdout
        agent = cls(process, process.stdin, process.stdout, talk)
        threading.Thread(target=agent._listen, daemon=True).start()
        threading.Thread(target=agent._begin, args=(task,), daemon=True).start()
        return agent

    def _begin(self, task: str) -> None:
        if self.talk:
            self.tell("task", task)
            return
        self._write(task.encode())
        try:
            self.stdin.close()
        except OSError:
            pass  # it was not read to its end, and that is the agent's own affair

    def _listen(self) -> None:
        while line := self.stdout.readline(MOST_LINE):
            self.lines.put(line.decode(errors="replace").rstrip("\r\n").replace("\0", ""))
        self.lines.put(None)

    def tell(self, kind: str, text: str) -> None:
        if self.talk:
            self._write(json.dumps({"type": kind, "text": text}).encode() + b"\n")

    def _write(self, data: bytes) -> None:
        try:
            self.stdin.write(data)
            self.stdin.flush()
        except (OSError, ValueError):
            note("the agent does not read its stdin any more")

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(GRACE_S)
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue


@dataclass
class Conversation:
    """Between the agent and people: lines become messages, some at a time, and what people say is handed to it."""

    home: Home
    agent: Agent
    over: threading.Event
    poll_s: float = 3.0
    _last: str = ""
    """The newest message that home knows to be read."""
    _said: int = 0

    def hold(self) -> None:
        """Until the agent has said everything. Raises Over when nobody listens any more."""
        looked = time.monotonic()
        while True:
            said, more = self._gathered()
            for text in said:
                self._say(text)
            if not more:
                return
            if self.over.is_set():
                raise Over("the task is over")
            if self.agent.talk and self._last and time.monotonic() - looked >= self.poll_s:
                looked = time.monotonic()
                self._hear(self.home.heard(self._last))

    def _gathered(self) -> tuple[list[str], bool]:
        """What it printed within a moment, questions by themselves; and whether more may come."""
        said: list[str] = []
        held: list[str] = []
        end = time.monotonic() + (GATHER_S if self._said < MANY else GATHER_LATER_S)
        more, line = True, ""
        while more and sum(map(len, held)) < MOST_TEXT and not line.startswith(QUESTION) and (left := end - time.monotonic()) > 0:
            try:
                got = self.agent.lines.get(timeout=left)
            except queue.Empty:
                break
            more, line = got is not None, got or ""
            if self.agent.talk and line.startswith(QUESTION):
                said += ["\n".join(held)] if any(held) else []
                held = []
            if more:
                print(line, flush=True)
                held.append(line)
        return [*said, *(["\n".join(held)] if any(each.strip() for each in held) else [])], more

    def _say(self, text: str) -> None:
        asks = self.agent.talk and text.startswith(QUESTION)
        self._said += 1
        try:
            told = self.home.say(text.removeprefix(QUESTION) if asks else text, requires_user_input=asks)
        except Refused as refused:
            if asks:  # it would wait for ever
                raise
            note(f"home does not take what was said: {refused}")
            return
        self._last = str(told["message_id"])
        self._hear(told["queued_user_messages"])

    def _hear(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self._last = str(message["id"])
            self.agent.tell("message", str(message["content"]))


def pulse(home: Home, every_s: float, over: threading.Event) -> None:
    """Signs of life until it is over; one that is lost is followed by the next."""
    calm = Home(home.url, home.instance, home.key, tries=1)
    while not over.wait(every_s):
        try:
            calm.beat()
        except Over:
            over.set()
        except (Away, Refused) as lost:
            note(f"a sign of life was lost: {lost}")


def git(*words: str, check: bool = True) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, errors="replace", timeout=300, check=False)
    if check and done.returncode:
        raise RuntimeError(f"git {words[0]} failed: {done.stderr.strip()[-500:]}")
    return done.stdout.strip()


def on_branch(branch: str) -> str:
    """Switch to the branch, which is made where it is not; what the work begins from."""
    git("check-ref-format", "--branch", branch)
    known = git("ls-remote", "--heads", "origin", f"refs/heads/{branch}")
    if known:
        git("fetch", "--quiet", "origin", f"refs/heads/{branch}")
    git("switch", "--quiet", "-C", branch, *(["FETCH_HEAD"] if known else []))
    return git("rev-parse", "HEAD")


def difference(start: str) -> str:
    """Everything that the agent changed since then, its own commits included."""
    git("add", "--all")
    text = git("diff", "--cached", start) + "\n"
    if len(text.encode()) <= MOST_DIFF:
        return text if text.strip() else ""
    return text.encode()[:MOST_DIFF].decode(errors="ignore") + "\n[the rest of this difference is left out]\n"


def push(branch: str, instance: str) -> None:
    if git("status", "--porcelain"):
        git(*AUTHOR, "commit", "--quiet", "-m", f"Work of agent {instance}")
    git("push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")


def note(text: str) -> None:
    print(f"home: {text}", file=sys.stderr, flush=True)


def conclude(home: Home, code: int, start: str, options: argparse.Namespace, branch: str) -> int:
    """Tell what was changed, push it, and say last how it ended."""
    changed = difference(start) if start else ""
    text = "The agent is done." if code == 0 else f"The agent ended with exit code {code}."
    try:
        home.say(text, **({"git_diff": base64.b64encode(changed.encode()).decode()} if changed else {}))
    except Refused as refused:
        note(f"home does not take the end of it: {refused}")
    if code == 0 and changed and options.push == "true":
        push(branch, home.instance)
    if code == 0:
        home.end()
    else:
        home.move("FAILED")
    return 1 if code else 0


def work(home: Home, payload: Mapping[str, Any], options: argparse.Namespace) -> int:
    branch = str(payload.get("branch_name") or "main")
    start = on_branch(branch) if options.git == "true" else ""
    names = {
        "OMNARA_API_URL": home.url,
        "OMNARA_BASE_URL": home.url,
        "OMNARA_API_KEY": home.key,
        "OMNARA_AGENT_INSTANCE_ID": home.instance,
        "OMNARA_AGENT_TYPE": str(payload.get("agent_type") or "general"),
        "OMNARA_PROMPT": str(payload["prompt"]).encode()[:MOST_VARIABLE].decode(errors="ignore"),
    }
    over = threading.Event()
    agent = Agent.start(options.agent, str(payload["prompt"]), {**os.environ, **names}, options.talk == "true")
    threading.Thread(target=pulse, args=(home, options.beat_s, over), daemon=True).start()
    try:
        Conversation(home, agent, over, options.poll_s).hold()
        return conclude(home, agent.process.wait(), start, options, branch)
    finally:
        over.set()
        agent.stop()


def tell_run(home: Home, environ: Mapping[str, str]) -> None:
    """Home finds the run without it, and may know the repository by another name, as before it was renamed."""
    try:
        home.run(environ)
    except Refused as refused:
        note(f"home does not take which run this is: {refused}")


def told_to_stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def last_word(home: Home, status: str, why: str = "") -> None:
    """Said once: there is no time left for more."""
    calm = Home(home.url, home.instance, home.key, tries=1)
    for tell, said in ((calm.say, why), (calm.move, status)):
        try:
            if said:
                tell(said)
        except (Over, Away, Refused) as lost:
            note(f"{said} was not heard: {lost}")


def told(environ: Mapping[str, str]) -> argparse.Namespace:
    """The options, by flag or by variable: `--beat-s` or `HOME_BEAT_S`."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"url": "", "agent": "", "talk": "false", "push": "true", "git": "true"}.items():
        parser.add_argument(f"--{name}", default=environ.get(f"HOME_{name.upper()}") or default)
    for name, seconds in {"beat-s": "30", "poll-s": "3"}.items():
        parser.add_argument(f"--{name}", type=float, default=environ.get(f"HOME_{name.upper().replace('-', '_')}") or seconds)
    options = parser.parse_args()
    if not options.url.startswith(("http://", "https://")) or not options.agent.strip():
        parser.error("needs --url, the address of Trunkline, and --agent, the program that does the work")
    return options


def main() -> int:
    options = told(os.environ)
    payload = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text())["client_payload"]
    print(f"::add-mask::{payload['omnara_api_key']}")
    print(f"::stop-commands::{secrets.token_hex(16)}", flush=True)  # what an agent prints commands no runner
    home = Home(options.url.rstrip("/"), str(uuid.UUID(payload["agent_instance_id"])), payload["omnara_api_key"])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told_to_stop)
    try:
        tell_run(home, os.environ)
        return work(home, payload, options)
    except KeyboardInterrupt as stopped:
        note(f"stopped by {stopped}")
        last_word(home, "KILLED")
    except Over as over:
        note(f"the task is over: {over}")
    except (Away, Refused, RuntimeError, OSError, ValueError, subprocess.SubprocessError) as error:
        note(f"it went wrong: {error}")
        last_word(home, "FAILED", f"It went wrong: {error}"[:MOST_TEXT])
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
