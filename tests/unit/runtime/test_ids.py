"""Ids are told apart and sorted by time, also where a process forked."""

from __future__ import annotations

import os
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

from trunkline.runtime.ids import new_id


def test_an_id_has_the_layout_of_a_uuid_of_version_7() -> None:
    made = new_id()
    assert re.fullmatch(r"[0-9a-f]{32}", made)
    assert uuid.UUID(made).version == 7
    assert uuid.UUID(made).variant == uuid.RFC_4122


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
