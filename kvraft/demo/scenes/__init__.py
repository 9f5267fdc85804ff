"""The scenes in the order in which they are told. Each says what happens and which promises held."""

from kvraft.demo.scenes import (
    blocked,
    chat,
    cluster,
    count,
    crash,
    laptop,
    offline,
    restart,
    tenfold,
)

SCENES = (
    ("Three nodes", cluster.play),
    ("Bob is offline, and Alice writes to him", offline.play),
    ("Bob has blocked Eve, and she writes to him", blocked.play),
    ("One message, sent ten times at once through two nodes", tenfold.play),
    ("Bob's phone reads, and the leader is killed in the middle (kill -9)", crash.play),
    ("Bob's laptop comes later", laptop.play),
    ("Four people chat in a group", chat.play),
    ("The dead node comes back", restart.play),
    ("The count", count.play),
)

__all__ = ["SCENES"]
