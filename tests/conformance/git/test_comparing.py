"""What is told of a commit before it goes out: every file by both of its names, every added line, whatever the files are called or say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.git.job import Job
from trunkline.contracts.errors import NotFound
from trunkline_sandbox.adapters.git import comparing
from trunkline_sandbox.ports import AddedLine, Change


async def changes(job: Job) -> dict[str, Change]:
    made = await job.commit()
    assert made
    found = await job.git.changes(job.bare, job.base, made.sha)
    assert len({change.path for change in found}) == len(found)
    return {change.path: change for change in found}


async def added(job: Job) -> list[AddedLine]:
    made = await job.commit()
    assert made
    return [line async for line in job.git.added_lines(job.bare, job.base, made.sha)]


async def test_every_kind_of_change_has_its_word(job: Job) -> None:
    (job.tree / "calc.py").write_text("one\n2\nthree\n")
    (job.tree / "new.txt").write_text("a\nb\n")
    (job.tree / "new.bin").write_bytes(b"\0\1\2")
    (job.tree / "lib/deep.py").unlink()
    (job.tree / "run.sh").chmod(0o644)
    (job.tree / "link").symlink_to("/etc/passwd")
    assert await changes(job) == {
        "calc.py": Change("calc.py", "modified", 2, 1, False),
        "new.txt": Change("new.txt", "added", 2, 0, False),
        "new.bin": Change("new.bin", "added", 0, 0, True),
        "lib/deep.py": Change("lib/deep.py", "deleted", 0, 1, False),
        "run.sh": Change("run.sh", "type", 0, 0, False),
        "link": Change("link", "added", 1, 0, False),
    }


async def test_a_file_that_becomes_a_link_is_another_type(job: Job) -> None:
    (job.tree / "calc.py").unlink()
    (job.tree / "calc.py").symlink_to("/etc/passwd")
    assert (await changes(job))["calc.py"].kind == "type"


async def test_a_renamed_file_shows_under_both_names(job: Job) -> None:
    (job.tree / "calc.py").write_text("".join(f"line {number}\n" for number in range(50)))
    first = await job.commit()
    assert first
    job.base = first.sha
    (job.tree / ".github/workflows").mkdir(parents=True)
    (job.tree / "calc.py").rename(job.tree / ".github/workflows/x y.yml")
    with (job.tree / ".github/workflows/x y.yml").open("a") as file:
        file.write("run: evil\n")
    assert await changes(job) == {
        "calc.py": Change("calc.py", "renamed", 0, 0, False),
        ".github/workflows/x y.yml": Change(".github/workflows/x y.yml", "renamed", 1, 0, False),
    }
    assert await added(job) == [AddedLine(".github/workflows/x y.yml", 51, "run: evil")]


NAMES = ["a b.txt", 'quo"te', "tab\there", "new\nline", "back\\slash", "ünï", "b/b", "dev/null", "é\x01", "-x", ":(glob)*", "a => b", "+++"]


@pytest.mark.parametrize("name", NAMES)
async def test_any_name_is_told_as_it_is(job: Job, name: str) -> None:
    file = job.tree / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("secret\n")
    assert list(await changes(job)) == [name]
    assert await added(job) == [AddedLine(name, 1, "secret")]


async def test_added_lines_are_numbered_as_in_the_file_and_deleted_ones_are_not_told(job: Job) -> None:
    (job.tree / "calc.py").write_text("zero\none\ntwo and a half\nthree")
    found = await added(job)
    assert found == [AddedLine("calc.py", 1, "zero"), AddedLine("calc.py", 3, "two and a half"), AddedLine("calc.py", 4, "three")]


async def test_no_text_passes_for_a_line_of_the_patch(job: Job) -> None:
    text = "++ b/other\n@@ -1 +1 @@\ndiff --git a/x b/x\n-- a/y\n\\ No newline at end of file\n\rcarriage\x0cfeed\u2028\n"
    (job.tree / "calc.py").write_text(text, newline="")
    (job.tree / "z").write_text("last\n")
    found = await added(job)
    assert [line.text for line in found if line.path == "calc.py"] == text.split("\n")[:-1]
    assert [line.number for line in found if line.path == "calc.py"] == [1, 2, 3, 4, 5, 6]
    assert found[-1] == AddedLine("z", 1, "last")


async def test_attributes_of_the_agents_making_hide_nothing(job: Job) -> None:
    (job.tree / ".gitattributes").write_text("*.env -diff\n*.env filter=x diff=x\n")
    (job.tree / "a.env").write_text("KEY=1\n")
    assert AddedLine("a.env", 1, "KEY=1") in await added(job)


async def test_a_nul_hides_no_line_and_the_next_file_is_told(job: Job) -> None:
    (job.tree / "a.bin").write_bytes(b"x\n\0y\n")
    (job.tree / "b.txt").write_bytes(b"caf\xe9\n")
    assert await added(job) == [AddedLine("a.bin", 1, "x"), AddedLine("a.bin", 2, "\0y"), AddedLine("b.txt", 1, "caf\ufffd")]


async def test_what_is_too_much_to_look_at_says_so(job: Job) -> None:
    (job.tree / "a.txt").write_text("0123456\n" * ((comparing.SHOWN // 7) + 10))
    (job.tree / "b.txt").write_text("hidden behind it\n")
    found = await added(job)
    assert found[-1].number == 0
    assert sum(len(line.text) for line in found) <= comparing.SHOWN


async def test_a_commit_that_is_not_there_is_not_found(job: Job, tmp_path: Path) -> None:
    for commit in ("0" * 40, "--output=" + str(tmp_path / "x"), "HEAD"):
        with pytest.raises(NotFound):
            await job.git.changes(job.bare, job.base, commit)
    assert not (tmp_path / "x").exists()
