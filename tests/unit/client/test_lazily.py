from __future__ import annotations

import threading

from kvraft.client.lazily import lazily


class Owner:
    def __init__(self) -> None:
        self.made = 0
        self.both_ask = threading.Barrier(2, timeout=10)

    @lazily
    def part(self) -> object:
        """A part."""
        self.made += 1
        return object()


def test_it_is_made_once_and_not_before_it_is_asked_for() -> None:
    owner = Owner()
    assert owner.made == 0
    assert owner.part is owner.part
    assert owner.made == 1
    assert Owner().part is not owner.part


def test_threads_that_ask_at_the_same_time_get_the_same() -> None:
    owner, got = Owner(), []

    def ask() -> None:
        owner.both_ask.wait()
        got.append(owner.part)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got[0] is got[1]
    assert owner.made == 1
