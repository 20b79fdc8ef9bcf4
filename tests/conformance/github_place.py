"""A fake GitHub with one repository, a forge that speaks to it, and a carrier that insists as the real one does."""

from __future__ import annotations

import asyncio
import atexit
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from trunkline.contracts.errors import Exhausted, Overdue, Unavailable
from trunkline.testing.fake_github import App, FakeGitHub, fake_github
from trunkline.testing.repositories import add_commit, git, make_bare, tip
from trunkline_sandbox.adapters.forges.github import GitHubForge, GitHubOptions, github_forge
from trunkline_sandbox.adapters.git import GitProgram
from trunkline_sandbox.ports import Access, PullRequest, PullRequestSpec

T = TypeVar("T")
CALC = Access("acme/calc")
BRANCH = "trunkline/fix-1"
GAP = 0.05


@dataclass
class Hub:
    """One repository `acme/calc` at a GitHub, whose clone `bare` holds the commit to be pushed."""

    github: FakeGitHub
    forge: GitHubForge
    root: Path
    bare: Path
    git: GitProgram

    @property
    def there(self) -> Path:
        return self.root / "acme/calc.git"

    def spec(self, **changes: str) -> PullRequestSpec:
        told = {"task": "0" * 32, "url": "http://trunkline.example/tasks/0", "cost": "US$ 0.42"}
        fields = {
            "repo": "acme/calc",
            "base": "main",
            "head": BRANCH,
            "title": "Fix it",
            "body": f"As asked.\n\nTrunkline-Task: {'0' * 32}\n",
            "commit": self.commit,
            **told,
        }
        return PullRequestSpec(**{**fields, **changes})

    @property
    def commit(self) -> str:
        return tip(self.bare, BRANCH)

    async def fetch(self, bare: Path) -> str:
        async with self.forge.remote(CALC) as remote:
            return await self.git.fetch(remote, "main", bare)

    async def push(self) -> None:
        async with self.forge.remote(CALC) as remote:
            await self.git.push(self.bare, remote, self.commit, BRANCH)

    async def open(self) -> PullRequest:
        return await self.forge.open_pull_request(CALC, self.spec())

    async def carried(self) -> PullRequest:
        """Everything that a run wants of a forge."""
        await insist(lambda: self.fetch(self.bare.with_name("again")))
        await insist(self.push)
        return await insist(self.open)

    def already_pushed(self) -> None:
        """As another one did it, behind the forge's back."""
        shutil.copytree(self.bare / "objects", self.there / "objects", dirs_exist_ok=True)
        branch = self.there / "refs/heads" / BRANCH
        branch.parent.mkdir(parents=True, exist_ok=True)
        branch.write_text(f"{self.commit}\n")


async def insist(work: Callable[[], Awaitable[T]], most: int = 6) -> T:
    """As the carrier does: again while the forge is away, and not before it wants to be asked."""
    for _ in range(most):
        try:
            return await work()
        except Exhausted as error:
            # What git is told, nobody tells us; a minute is too long for a test.
            wait = error.details["retry_after"]
            assert isinstance(wait, float)
            await asyncio.sleep(wait if "git" not in error.details else 0.01)
        except (Unavailable, Overdue):
            await asyncio.sleep(0.01)
    return await work()


@asynccontextmanager
async def hub(folder: Path, *, app: bool = False, prefix: str = "", hurried: bool = False, **options: bool | float) -> AsyncIterator[Hub]:
    """As an App, or by a token. `hurried` waits for nobody, for tests with somebody who does not answer."""
    root, ours = folder / "forge", folder / "ours.git"
    shutil.copytree(template(), folder, dirs_exist_ok=True)
    private, public = keys()
    (folder / "app.pem").write_bytes(private)
    async with fake_github(root, App("12345", public, {"acme": 100}) if app else None, prefix) as github:
        account = {"app_id": "12345", "app_key_file": folder / "app.pem"} if app else {"token": github.user_token("acme/calc")}
        quick = {"gap_s": GAP, "doubt_s": 0.01, "looks_s": (0.01, 0.02), "call_s": 1.0 if hurried else 20.0}
        made = GitHubOptions(folder=folder / "credentials", api_url=github.api_url, **account, **{**quick, **options})  # type: ignore[arg-type]
        async with github_forge(made) as forge:
            yield Hub(github, forge, root, ours, GitProgram(seconds=2 if hurried else 30, doubt=0.01))


@cache
def template() -> Path:
    """A forge with one repository and a clone of it with a commit more, made once for all tests of a process."""
    folder = Path(mkdtemp(prefix="trunkline-github-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    bare, ours = make_bare(folder / "forge", "acme/calc", {"calc.py": "one\n", "README": "calc\n"}), folder / "ours.git"
    git(bare, "clone", "--quiet", "--bare", str(bare), str(ours))
    git(ours, "branch", BRANCH, "main")
    add_commit(ours, {"calc.py": "two\n"}, BRANCH)
    return folder


@cache
def keys() -> tuple[bytes, bytes]:
    """Private and public, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, public
