"""The sample repository of the demo: a real git repository with one failing test, and what can be asked of it afterwards."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from trunkline.contracts.errors import Broken, Unsupported

FILES: Final = Path(__file__).with_name("demo_files")
AGENT: Final = FILES / "agent.py"
REPO: Final = "demo/shop"
TASK: Final = "The test test_two_teapots_cost_twice_as_much_as_one fails. Mend the code, not the test."
_WHO: Final = ("Trunkline demo", "demo@trunkline.invalid")


def agent_command() -> str:
    """The sample agent as shell words; it travels in them, so that the repository holds nothing but the shop."""
    return shlex.join(["python3", "-B", "-c", AGENT.read_text("utf-8")])


def make(forge: Path) -> Path:
    """The shop as a bare repository below `forge`."""
    bare = forge / f"{REPO}.git"
    with tempfile.TemporaryDirectory(prefix="trunkline-shop-") as folder:
        tree = Path(folder) / "shop"
        _copy(FILES / "shop", tree)
        git(tree, "init", "-q", "-b", "main")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", "A shop with a cart")
        bare.parent.mkdir(parents=True)
        git(tree, "clone", "-q", "--bare", ".", str(bare))
    return bare


def diff(bare: Path, branch: str) -> str:
    """What the branch changes, as the agent wrote it."""
    return git(bare, "diff", "--color=never", f"main...{branch}")


def passes(bare: Path, branch: str) -> bool:
    """Whether the tests of the sample pass on a branch. Runs them: this is our own sample, changed by our own script."""
    with tempfile.TemporaryDirectory(prefix="trunkline-shop-") as folder:
        git(bare, "worktree", "add", "-q", "--detach", folder + "/tree", branch)
        ran = subprocess.run([sys.executable, "-B", "-m", "unittest"], cwd=folder + "/tree", capture_output=True, timeout=60, check=False)
        git(bare, "worktree", "remove", "--force", folder + "/tree")
    return ran.returncode == 0


def git(where: Path, *words: str) -> str:
    """Run git with nobody's configuration but ours. Raises Unsupported without git, Broken when it fails."""
    name, mail = _WHO
    env = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(where),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        **{f"GIT_{role}_NAME": name for role in ("AUTHOR", "COMMITTER")},
        **{f"GIT_{role}_EMAIL": mail for role in ("AUTHOR", "COMMITTER")},
    }
    try:
        ran = subprocess.run(["git", *words], cwd=where, env=env, capture_output=True, text=True, timeout=60, check=True)
    except FileNotFoundError:
        raise Unsupported("git was not found. Install it (Debian, Ubuntu: `apt-get install git`).", code="NO_GIT") from None
    except subprocess.CalledProcessError as error:
        raise Broken(f"git {words[0]} failed: {error.stderr.strip()}") from None
    return ran.stdout


def _copy(source: Path, target: Path) -> None:
    """File by file, without what Python may have left beside them; a package cannot carry a `.gitignore` of its own."""
    for file in sorted(source.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.with_name(".gitignore" if file.name == "gitignore" else file.name).write_bytes(file.read_bytes())
