"""What fingers type that know etcdctl, redis-cli or nats: one table.

A word that means the same here is an alias, and works. Where the meaning is another one, or kvraft has
another way, it is a hint, which names the command to use.
"""

from __future__ import annotations

Words = tuple[str, ...]

ALIASES: dict[Words, Words] = {
    ("set",): ("put",),
    ("delete",): ("del",),
    ("rm",): ("del",),
    ("list",): ("ls",),
    ("ping",): ("health",),
    ("member", "list"): ("status",),
    ("endpoint", "status"): ("status",),
    ("endpoint", "health"): ("health",),
    ("lease", "keepalive"): ("lease", "keep-alive"),
    ("lease", "timetolive"): ("lease", "ttl"),
    ("msg", "recv"): ("msg", "receive"),
}
SAME_IN_GROUPS = {"ls": "list", "remove": "rm", "delete": "rm", "create": "add"}
"""What a group may call either way; it holds where the group has only the other name."""

HINTS: dict[Words, str] = {
    # etcdctl
    ("member",): "kvctl status",
    ("endpoint",): "kvctl health, kvctl status",
    ("endpoint", "hashkv"): "kvctl status (DIGEST)",
    ("alarm",): "kvctl health, kvctl status",
    ("snapshot",): "kvctl export",
    ("make-mirror",): "kvctl export | kvctl --endpoints OTHER import -",
    ("compaction",): "nothing: nodes keep and drop their history by themselves",
    ("defrag",): "nothing: nodes look after their files by themselves",
    ("auth",): "nothing: put the ports behind a network that you trust",
    ("role",): "nothing: put the ports behind a network that you trust",
    ("user", "add"): "kvctl device add USER DEVICE",
    ("user", "list"): "kvctl msg queues",
    # redis-cli
    ("keys",): "kvctl ls --keys-only PREFIX",
    ("scan",): "kvctl ls PREFIX",
    ("dbsize",): "kvctl ls --count",
    ("exists",): "kvctl get KEY (exit code 1: it does not exist)",
    ("mget",): "kvctl ls PREFIX, or kvctl txn",
    ("mset",): "kvctl txn, or kvctl import",
    ("setnx",): "kvctl cas KEY --expect 0 VALUE",
    ("setex",): "kvctl put KEY VALUE --lease $(kvctl lease grant SECONDS)",
    ("incr",): "kvctl get KEY --metadata, then kvctl cas KEY --expect REVISION VALUE",
    ("decr",): "kvctl get KEY --metadata, then kvctl cas KEY --expect REVISION VALUE",
    ("append",): "kvctl get KEY --metadata, then kvctl cas KEY --expect REVISION VALUE",
    ("expire",): "kvctl put KEY VALUE --lease $(kvctl lease grant SECONDS)",
    ("persist",): "kvctl put KEY VALUE (without --lease)",
    ("ttl",): "kvctl get KEY -o json (lease_id), then kvctl lease ttl ID",
    ("info",): "kvctl status",
    ("monitor",): "kvctl watch --prefix ''",
    ("flushall",): "kvctl del --prefix ''",
    ("flushdb",): "kvctl del --prefix ''",
    ("multi",): "kvctl txn",
    ("lpush",): "kvctl msg send SENDER TO TEXT",
    ("rpush",): "kvctl msg send SENDER TO TEXT",
    ("xadd",): "kvctl msg send SENDER TO TEXT",
    ("blpop",): "kvctl msg receive USER DEVICE",
    ("xread",): "kvctl msg receive USER DEVICE --follow",
    ("publish",): "kvctl msg send SENDER TO TEXT, or kvctl put KEY VALUE",
    ("subscribe",): "kvctl msg receive USER DEVICE --follow, or kvctl watch KEY",
    # nats
    ("pub",): "kvctl msg send SENDER TO TEXT, or kvctl put KEY VALUE",
    ("sub",): "kvctl msg receive USER DEVICE --follow, or kvctl watch --prefix KEY",
    ("request",): "kvctl msg send SENDER TO TEXT",
    ("stream",): "kvctl msg queues",
    ("consumer",): "kvctl msg queue USER DEVICE",
    ("kv",): "kvctl put, get, del, ls, watch: there are no buckets, only keys",
    ("server",): "kvctl status",
    ("account",): "kvctl msg queues",
}
OPTION_HINTS: dict[tuple[str, str], str] = {
    ("get", "--prefix"): "kvctl ls PREFIX",
    ("get", "--from-key"): "kvctl ls --start KEY",
    ("get", "--range"): "kvctl ls --start START --end END",
    ("get", "--keys-only"): "kvctl ls --keys-only PREFIX",
    ("get", "--count-only"): "kvctl ls PREFIX --count",
    ("get", "--limit"): "kvctl ls PREFIX --limit N",
    ("get", "--rev"): "kvctl get KEY --consistency at-least --min-revision N; old values are not kept",
    ("get", "--print-value-only"): "kvctl get KEY, which prints nothing else",
    ("put", "--prev-kv"): "kvctl put KEY VALUE --print-previous",
    ("put", "--ttl"): "kvctl put KEY VALUE --lease $(kvctl lease grant SECONDS)",
    ("put", "--ex"): "kvctl put KEY VALUE --lease $(kvctl lease grant SECONDS)",
    ("put", "--ignore-lease"): "kvctl put KEY VALUE --lease ID",
    ("del", "--prev-kv"): "kvctl txn (del KEY --print-previous)",
    ("del", "--from-key"): "kvctl del --range KEY ''",
    ("watch", "--rev"): "kvctl watch KEY --start-revision N",
    ("watch", "--prev-kv"): "kvctl watch KEY --previous",
    ("txn", "--interactive"): "kvctl txn, which reads stdin",
    ("txn", "-i"): "kvctl txn, which reads stdin",
    ("status", "--cluster"): "kvctl health --cluster",
}


def replaced(path: Words, word: str, following: list[str], known: set[str]) -> list[str] | None:
    """What `word` and the arguments behind it stand for in the group at `path`, where the words `known` are
    commands; `None`: nothing else."""
    if not path:
        for length in (2, 1):
            words = (word, *following[: length - 1])
            if words in ALIASES and words[0] not in known:
                return [*ALIASES[words], *following[length - 1 :]]
        return None
    alias = ALIASES.get((*path, word))
    if alias is not None:
        return [*alias[len(path) :], *following]
    same = SAME_IN_GROUPS.get(word)
    return [same, *following] if same in known else None


def hint(path: Words, word: str, following: list[str]) -> str | None:
    """What to use instead, if the table knows."""
    words = (*path, word, *following[:1])
    for length in range(len(words), len(path), -1):
        if words[:length] in HINTS:
            return HINTS[words[:length]]
    return None
