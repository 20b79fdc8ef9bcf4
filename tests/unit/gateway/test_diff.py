"""A diff is shown as it is, whatever it holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts.forge import PullRequestView
from trunkline_gateway.pages import pull_request
from trunkline_gateway.pages.diff import Row, parse


def git(where: Path, *words: str) -> str:
    config = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main"]
    return subprocess.run(["git", *config, *words], cwd=where, capture_output=True, text=True, check=True).stdout


def test_a_real_diff_is_read_file_by_file_and_row_by_row(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "a b.txt").write_text("one\n-- two\nthree\n")
    (tmp_path / "gone.txt").write_text("x\n")
    (tmp_path / "old.txt").write_text("".join(f"{n}\n" for n in range(50)))
    git(tmp_path, "add", "."), git(tmp_path, "commit", "-qm", "1")
    (tmp_path / "a b.txt").write_text("one\n++ two\nthree")
    (tmp_path / "gone.txt").unlink()
    (tmp_path / "old.txt").rename(tmp_path / "new.txt")
    (tmp_path / "bin").write_bytes(b"\x00\x01")
    (tmp_path / "empty").write_text("")
    git(tmp_path, "add", "-A"), git(tmp_path, "commit", "-qm", "2")
    files = {file.path: file for file in parse(git(tmp_path, "diff", "-M", "HEAD~1", "HEAD"))}
    assert {path: file.state for path, file in files.items()} == {
        "a b.txt": "changed", "bin": "binary", "empty": "added", "gone.txt": "deleted", "new.txt": "renamed",
    }  # fmt: skip
    assert files["a b.txt"].rows == [
        Row("hunk", "@@ -1,3 +1,3 @@"),
        Row("same", "one", 1, 1),
        Row("del", "-- two", 2),
        Row("del", "three", 3),
        Row("add", "++ two", new=2),
        Row("add", "three", new=3),
        Row("note", "No newline at end of file"),
    ]


def page(diff: str, cut: bool = False) -> str:
    view = PullRequestView(number=1, repo="o/n", base="main", head="h", title="t", body="", diff=diff, cut=cut, created_at="2025")
    return pull_request.page(view, "")


@given(st.text("diff --git a/x b/x\n@-+,1 \\<>&\"'"))
def test_no_diff_breaks_the_page(text: str) -> None:
    drawn = page("diff --git a/x b/x\n@@ -1,2 +1,2 @@\n" + text)
    assert drawn.count("<script") == 0
    assert drawn.count("<details") == drawn.count("</details>")


def test_a_diff_that_was_cut_says_so() -> None:
    assert "The diff goes on" in page("diff --git a/x b/x\n@@ -1 +1 @@\n-a", cut=True)
    assert "changes nothing" in page("")


def test_what_an_agent_says_is_markup_that_can_do_nothing() -> None:
    body = "**bold** <img src=x onerror=alert(1)> ![spy](http://x.test/p.png) [go](javascript:alert(1)) `code`"
    view = PullRequestView(
        number=1, repo="o/n", base="m", head="h", title="t", body=body, diff="", cut=False, created_at="2025-01-02T03:04:05Z"
    )
    html = pull_request.page(view, "")
    assert "<strong>bold</strong>" in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert "2 January 2025, 03:04 UTC" in html
