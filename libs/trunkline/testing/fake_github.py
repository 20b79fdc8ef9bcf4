"""A GitHub for tests: its API as far as we use it, real git behind it, checked rights, faults by order, a record of every call."""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from trunkline.testing import fake_actions
from trunkline.testing.fake_actions import Actions
from trunkline.testing.forge_faults import Fault, refusal
from trunkline.testing.git_over_http import GitOverHttp
from trunkline.testing.repositories import branches, git

__all__ = ["App", "FakeGitHub", "Fault", "Grant", "Seen", "fake_github"]

_GIT = re.compile(r"/([^/]+)/([^/]+)\.git/(info/refs|git-upload-pack|git-receive-pack)")
_ROUTES = (
    ("GET", re.compile(r"/user"), "user"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)"), "repo"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)/installation"), "installation"),
    ("POST", re.compile(r"/app/installations/(\d+)/access_tokens"), "token"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)/pulls"), "list"),
    ("POST", re.compile(r"/repos/([^/]+)/([^/]+)/pulls"), "create"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)/pulls/(\d+)"), "pull"),
    ("PATCH", re.compile(r"/repos/([^/]+)/([^/]+)/pulls/(\d+)"), "edit"),
    ("GET", re.compile(r"/repos/([^/]+)/([^/]+)/issues/(\d+)/comments"), "comments"),
    ("POST", re.compile(r"/repos/([^/]+)/([^/]+)/issues/(\d+)/comments"), "comment"),
    ("POST", re.compile(r"/repos/([^/]+)/([^/]+)/statuses/([0-9a-f]+)"), "status"),
    *fake_actions.ROUTES,
)
CHANGES = ("create", "edit", "comment", "status")
_EVERY = ("contents", "pull_requests", "issues", "statuses", "actions")


@dataclass(frozen=True, slots=True)
class App:
    """A GitHub App by its public key (PEM), and the number of its installation by owner."""

    id: str
    public_pem: bytes
    installations: Mapping[str, int]
    permissions: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(_EVERY, "write") | {"metadata": "read"})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token may do: `write` or `read` by right, in the repositories named; it ends at an epoch second."""

    repos: frozenset[str]
    rights: Mapping[str, str]
    expires_at: float = float("inf")
    user: bool = True


@dataclass(slots=True)
class Seen:
    """One call as it arrived."""

    step: str
    path: str
    token: str
    at: float
    """Monotonic seconds."""
    body: Any = None
    status: int = 0
    """What was answered; 0: nothing."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class FakeGitHub:
    """Repositories are the bare ones below `root`. `prefix` is where the API begins, as `/api/v3` of an Enterprise Server."""

    def __init__(self, root: Path, app: App | None = None, prefix: str = "", now: Callable[[], float] = time.time) -> None:
        self.url = ""
        self.prefix = prefix
        self.seen: list[Seen] = []
        self.too_early: list[Seen] = []
        """Calls that came although they were told to wait."""
        self.faults: list[Fault] = []
        self.grants: dict[str, Grant] = {}
        self.people: dict[str, tuple[int, str]] = {}
        """Number and login by token; a token that belongs to nobody says 403 to who it is."""
        self.public: AbstractSet[str] = frozenset()
        """Repositories that everybody may look at; to fetch and push them takes a token still."""
        self.pulls: dict[str, list[dict[str, Any]]] = {}
        self.comments: dict[tuple[str, int], list[dict[str, Any]]] = {}
        self.statuses: list[dict[str, Any]] = []
        self.renamed: dict[str, str] = {}
        self.archived: set[str] = set()
        self.blind_lists = 0
        """How many lists yet do not show what is newest."""
        self.token_s = 3600.0
        self.actions = Actions(now)
        self._root = root
        self._app = app
        self._now = now
        self._git = GitOverHttp(root)
        self._quiet: dict[str, float] = {}

    @property
    def api_url(self) -> str:
        return f"{self.url}{self.prefix}"

    def user_token(self, *repos: str, right: str = "write", person: tuple[int, str] | None = None) -> str:
        """A new personal token; `person` is number and login of its owner, else somebody new."""
        token = f"ghp_{secrets.token_hex(18)}"
        self.grants[token] = Grant(frozenset(repos), dict.fromkeys(_EVERY, right))
        number = 1000 + len(self.people)
        self.people[token] = person or (number, f"user-{number}")
        return token

    def fail(self, step: str, kind: str, times: int = 1, *, repo: str = "", **headers: str) -> None:
        """Order a fault, in one repository or whichever; an underscore in a header's name is a hyphen."""
        self.faults.append(Fault(step, kind, times, {name.replace("_", "-"): value for name, value in headers.items()}, repo))

    def steps(self, *names: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.step in names]

    def end_pull(self, repo: str, number: int, *, merged: bool = False) -> None:
        pull = next(pull for pull in self.pulls[repo] if pull["number"] == number)
        pull |= {"state": "closed", "merged_at": _moment(self._now()) if merged else None}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        step, parts = self._step(request)
        body = None if step in ("fetch", "push") else _json(await request.read())
        seen = Seen(step, request.path_qs, _token(request), time.monotonic(), body, headers=request.headers)
        self.seen.append(seen)
        if seen.at < self._quiet.get(seen.token, 0):
            self.too_early.append(seen)
        response = await self._answered(request, seen, parts)
        seen.status = response.status
        return response

    async def _answered(self, request: web.Request, seen: Seen, parts: tuple[str, ...]) -> web.StreamResponse:
        async def served() -> web.StreamResponse:
            return await self._served(request, seen, parts)

        about = self._about(seen, parts)
        due = (fault for fault in self.faults if fault.step == seen.step and fault.times and fault.repo in ("", about))
        fault = next(due, None)
        if fault is None or (seen.step in ("fetch-refs", "push-refs") and not seen.token):
            return await served()
        fault.times -= 1
        if wait := fault.headers.get("retry-after"):
            self._quiet[seen.token] = seen.at + float(wait)
        return await fault.befall(request, served)

    def _about(self, seen: Seen, parts: tuple[str, ...]) -> str:
        """The repository of a call; a token is asked for by its name."""
        if seen.step != "token":
            return "/".join(parts[:2])
        number, named = int(parts[0]), (seen.body or {}).get("repositories") or [""]
        installed = self._app.installations if self._app else {}
        return f"{next((owner for owner, each in installed.items() if each == number), '')}/{named[0]}"

    async def _served(self, request: web.Request, seen: Seen, parts: tuple[str, ...]) -> web.StreamResponse:
        if seen.step in ("installation", "token", "user"):
            return self._user(seen) if seen.step == "user" else self._for_app(seen, parts)
        repo = self.renamed.get("/".join(parts[:2]), "/".join(parts[:2]))
        if refused := self._refused(seen, repo):
            return refused
        if seen.step.partition("-")[0] in ("fetch", "push"):
            return await self._git.answer(request, f"/{repo}.git/{parts[2]}")
        if repo != "/".join(parts[:2]):
            moved = 301 if request.method == "GET" else 307
            return refusal(moved, "Moved Permanently", {"location": request.path_qs.replace("/".join(parts[:2]), repo, 1)})
        if seen.step in fake_actions.RIGHTS:
            return self.actions.answer(seen.step, repo, request, seen.body)
        return self._told(request, seen, repo, parts)

    def _told(self, request: web.Request, seen: Seen, repo: str, parts: tuple[str, ...]) -> web.Response:
        match seen.step:
            case "repo":
                return web.json_response(self._repository(repo, self.grants.get(seen.token)))
            case "list":
                return web.json_response(self._listed(repo, request.query.get("head", "")))
            case "pull" | "edit":
                return self._pull(repo, int(parts[2]), seen.body or {})
            case "create":
                return self._create(repo, seen.body)
            case "comments":
                return web.json_response(self.comments.get((repo, int(parts[2])), []))
            case "comment":
                return self._add(self.comments.setdefault((repo, int(parts[2])), []), {"body": seen.body["body"]})
            case "status":
                return self._add(self.statuses, {"repo": repo, "sha": parts[2], **seen.body})
        return refusal(404, "Not Found")

    def _step(self, request: web.Request) -> tuple[str, tuple[str, ...]]:
        if match := _GIT.fullmatch(request.path):
            service = request.query.get("service", match[3])
            name = "push" if service == "git-receive-pack" else "fetch"
            return (f"{name}-refs" if match[3] == "info/refs" else name), match.groups()
        path = request.path.removeprefix(self.prefix) if request.path.startswith(self.prefix) else ""
        for method, pattern, name in _ROUTES:
            if request.method == method and (match := pattern.fullmatch(path)):
                return name, match.groups()
        return "unknown", ()

    def _refused(self, seen: Seen, repo: str) -> web.Response | None:
        """By the rights of its token; what one may not see is not there."""
        over_git = seen.step.partition("-")[0] in ("fetch", "push")
        grant = self.grants.get(seen.token)
        if seen.step == "repo" and repo in self.public and (grant or not seen.token):
            return None
        if seen.step == "repo" and not seen.token:
            return refusal(404, "Not Found")
        if grant is None or grant.expires_at <= self._now():
            return refusal(401, "Bad credentials", {"WWW-Authenticate": 'Basic realm="GitHub"'} if over_git else {})
        if repo not in grant.repos or not (self._root / f"{repo}.git").is_dir():
            return refusal(404, "Not Found")
        right = {
            "create": "pull_requests",
            "list": "pull_requests",
            "pull": "pull_requests",
            "edit": "pull_requests",
            "comment": "issues",
            "comments": "issues",
            "status": "statuses",
            **fake_actions.RIGHTS,
        }
        level = grant.rights.get(right.get(seen.step, "contents"))
        writes = seen.step in (*CHANGES, *fake_actions.CHANGES) or seen.step.startswith("push")
        return None if level == "write" or (level and not writes) else refusal(403, "Resource not accessible by integration")

    def _for_app(self, seen: Seen, parts: tuple[str, ...]) -> web.Response:
        if self._app is None or not _signed(seen.token, self._app, self._now()):
            return refusal(401, "A JSON web token could not be decoded")
        if seen.step == "installation":
            number = self._app.installations.get(parts[0])
            there = number is not None and (self._root / f"{'/'.join(parts)}.git").is_dir()
            told = {"id": number, "permissions": dict(self._app.permissions)}
            return web.json_response(told) if there else refusal(404, "Not Found")
        owner = next((owner for owner, number in self._app.installations.items() if number == int(parts[0])), "")
        wanted = dict((seen.body or {}).get("permissions") or self._app.permissions)
        if any(level == "write" and self._app.permissions.get(right) != "write" for right, level in wanted.items()):
            return refusal(422, "The permissions requested are not granted to this installation.")
        token, until = f"ghs_{secrets.token_hex(18)}", self._now() + self.token_s
        every = [path.stem for path in (self._root / owner).glob("*.git")]
        repos = frozenset(f"{owner}/{name}" for name in (seen.body or {}).get("repositories", every))
        self.grants[token] = Grant(repos, wanted, until, user=False)
        return web.json_response({"token": token, "expires_at": _moment(until), "permissions": wanted}, status=201)

    def _user(self, seen: Seen) -> web.Response:
        grant = self.grants.get(seen.token)
        if grant is None or grant.expires_at <= self._now():
            return refusal(401, "Bad credentials")
        if seen.token not in self.people:
            return refusal(403, "Resource not accessible by integration")
        number, login = self.people[seen.token]
        return web.json_response({"id": number, "login": login, "type": "User", "name": None})

    def _repository(self, repo: str, grant: Grant | None) -> dict[str, Any]:
        person = grant is None or grant.user  # of an App nothing of the kind is told
        writes = grant is not None and repo in grant.repos and grant.rights.get("contents") == "write"
        rights = {"pull": person, "push": person and writes}
        told = {"full_name": repo, "clone_url": f"{self.url}/{repo}.git", "default_branch": "main", "private": repo not in self.public}
        return {**told, "archived": repo in self.archived, "permissions": rights}

    def _listed(self, repo: str, head: str) -> list[dict[str, Any]]:
        """Newest first. As the real one does it, a filter without an owner filters nothing."""
        found = list(reversed(self.pulls.get(repo, [])))
        if self.blind_lists:
            self.blind_lists -= 1
            found = found[1:]
        owner, colon, ref = head.partition(":")
        return [pull for pull in found if not colon or (owner == repo.partition("/")[0] and pull["head"]["ref"] == ref)]

    def _pull(self, repo: str, number: int, changes: dict[str, Any]) -> web.Response:
        pull = next((pull for pull in self.pulls.get(repo, []) if pull["number"] == number), None)
        if pull is None:
            return refusal(404, "Not Found")
        pull.update(changes)
        return web.json_response(pull)

    def _create(self, repo: str, body: dict[str, Any]) -> web.Response:
        bare, known = self._root / f"{repo}.git", self.pulls.setdefault(repo, [])
        there = branches(bare)
        for end in ("head", "base"):
            if body[end] not in there:
                return _invalid({"resource": "PullRequest", "field": end, "code": "invalid"})
        if git(bare, "rev-list", "--count", f"{there[body['base']]}..{there[body['head']]}") == "0":
            return _invalid(
                {"resource": "PullRequest", "code": "custom", "message": f"No commits between {body['base']} and {body['head']}"}
            )
        if any(pull["state"] == "open" and pull["head"]["ref"] == body["head"] and pull["base"]["ref"] == body["base"] for pull in known):
            message = f"A pull request already exists for {repo.partition('/')[0]}:{body['head']}."
            return _invalid({"resource": "PullRequest", "code": "custom", "message": message})
        ends = {end: {"ref": body[end], "repo": {"full_name": repo}, "sha": there[body[end]]} for end in ("head", "base")}
        number = len(known) + 1
        told = {
            "number": number,
            "state": "open",
            "html_url": f"{self.url}/{repo}/pull/{number}",
            "title": body["title"],
            "body": body["body"],
        }
        return self._add(known, {**told, **ends, "merged_at": None})

    def _add(self, to: list[dict[str, Any]], what: dict[str, Any]) -> web.Response:
        to.append({"id": len(to) + 1, **what})
        return web.json_response(to[-1], status=201)


@asynccontextmanager
async def fake_github(
    root: Path, app: App | None = None, prefix: str = "", now: Callable[[], float] = time.time
) -> AsyncIterator[FakeGitHub]:
    """Serve it on a free loopback port."""
    hub = FakeGitHub(root, app, prefix, now)
    site = web.Application(client_max_size=1 << 30)
    site.router.add_route("*", "/{path:.*}", hub.answer)
    # Bodies stay as git compressed them: its own program unpacks them.
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=0.2, handler_cancellation=True, auto_decompress=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hub.url = hub.actions.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield hub
    finally:
        await hub.actions.close()
        await runner.cleanup()


def _signed(token: str, app: App, now: float) -> bool:
    """Whether it is this App's own word, checked without the library that made it."""
    try:
        head, body, mark = token.split(".")
        said, claims = json.loads(_unpadded(head)), json.loads(_unpadded(body))
        key = serialization.load_pem_public_key(app.public_pem)
        assert isinstance(key, rsa.RSAPublicKey)
        key.verify(_unpadded(mark), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    in_time = claims["iat"] <= now < claims["exp"] <= now + 600
    return bool(said["alg"] == "RS256" and claims["iss"] == app.id and in_time)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _token(request: web.Request) -> str:
    kind, _, word = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "basic":
        return word
    return base64.b64decode(word).decode().partition(":")[2]


def _json(body: bytes) -> Any:
    return json.loads(body) if body else None


def _invalid(error: dict[str, str]) -> web.Response:
    return web.json_response({"message": "Validation Failed", "errors": [error]}, status=422)


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
