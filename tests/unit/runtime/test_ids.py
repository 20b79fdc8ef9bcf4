"""Ids are told apart and sorted by time, also where a process forked."""

from __future__ import annotations

import os
import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from trunkline.runtime.clock import now
from trunkline.runtime.ids import minted_at, new_id


def test_an_id_has_the_layout_of_a_uuid_of_version_7() -> None:
    made = new_id()
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert uuid.UUID(made).version == 7
    assert uuid.UUID(made).variant == uuid.RFC_4122


def test_an_id_says_when_it_was_minted_and_other_text_says_nothing() -> None:
    made = minted_at(new_id())
    assert made is not None and abs(made - now()) < timedelta(seconds=5)
    assert [minted_at(text) for text in ("", "e1", uuid.uuid4().hex, f"{'f' * 12}7{'0' * 3}8{'0' * 15}")] == [None] * 4


def test_no_two_threads_are_given_the_same_id() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [one for some in threads.map(lambda _: [new_id() for _ in range(2_000)], range(8)) for one in some]
    assert len(set(made)) == len(made)


def test_a_forked_process_does_not_repeat_the_random_part_of_its_parent() -> None:
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, new_id()[16:].encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 16).decode() != new_id()[16:]
    os.close(reading)
    os.close(writing)
