"""No connection takes all of anything."""

from __future__ import annotations

from kvraft.node.sharing import Share


def greed(share: Share, connection: str) -> int:
    """Takes until it is refused; how much."""
    count = 0
    while share.take(connection):
        count += 1
    return count


def test_one_connection_gets_half_and_no_more() -> None:
    share = Share(256)
    assert greed(share, "a") == 128
    assert not share.has_room("a")
    assert share.taken == share.held_by("a") == 128


def test_who_comes_after_others_gets_half_of_what_they_left() -> None:
    share = Share(256)
    assert [greed(share, name) for name in "abc"] == [128, 64, 32]


def test_what_does_not_fit_is_refused_at_the_limit_plus_one() -> None:
    share = Share(100)
    assert not share.take("a", 51)
    assert share.take("a", 50)
    assert not share.take("b", 26)
    assert share.take("b", 25)


def test_what_is_given_back_is_there_for_others() -> None:
    share = Share(4)
    assert share.take("a", 2)
    assert not share.take("b", 2)
    share.give_back("a", 2)
    assert share.take("b", 2)
    assert (share.held_by("a"), share.taken) == (0, 2)


def test_a_refusal_says_who_holds_what() -> None:
    share = Share(4)
    share.add("a", 2)
    assert share.refusal("a", "calls") == (
        "this node has room for 4 calls; 2 are taken, 2 of them by this connection, which may hold as much "
        "as it leaves to others"
    )
