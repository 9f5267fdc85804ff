"""The language of `scripts/*.txt`: commands to a cluster, each followed by what it brought about.

    > cluster 3 log2=1,1 term2=4 learners=4 writes=slow inflight_messages_max=2
                        nodes, their logs (terms of the entries), terms, and settings;
                        `writes=slow`: a write completes when `write` says so
    > campaign 1        time passes until node 1 loses patience, alone
    > lead 1            and wins, and everybody knows; only the outcome is shown
    > pass 600          time passes; messages arrive at once
    > propose 1 x       > read 1 7        > transfer 1 [2]     > unreachable 1 2     > wait 1 2
    > deliver           until nothing is on its way; `deliver 1->2`: what is on this link now
    > drop 1->2         > repeat 1->2     loses, or delivers and keeps, what is on this link;
                        a number after a link chooses one message: `deliver 1->2 2`, the second
    > cut 1->2          > isolate 3       > heal
    > write 1           node 1's write under way is durable; `write all`: everybody's, to the last
    > crash 1           > restart 1       > compact 1 [5]
    > network           what is on its way        > status        > log 1 [2 ...]     > progress 1

A `*` in a link is any node. Lines that begin with `#` are for the reader. Heartbeats are shown
after `> heartbeats`. Everything else is output, recorded by `pytest --rewrite-scripts`.
"""

from __future__ import annotations

from dataclasses import fields

from kvraft.raft.events import CommitWanted, TimePassed, TransferLeadership, Unreachable
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
    InstallSnapshot,
    Message,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from kvraft.raft.ready import Ready, Role
from kvraft.raft.settings import Settings
from kvraft.raft.types import Entry, EntryKind, NodeId
from tests.unit.raft.harness import Cluster, Node


def describe_entry(entry: Entry) -> str:
    """index/term and what it holds."""
    data = "no-op" if entry.kind is EntryKind.NOOP else entry.data.decode() or "-"
    return f"{entry.index}/{entry.term} {data}"


def describe_entries(entries: tuple[Entry, ...]) -> str:
    return "[" + ", ".join(map(describe_entry, entries)) + "]"


def describe(message: Message) -> str:
    """A message in a line."""
    head = f"{message.sender}->{message.target} {type(message).__name__} term {message.term}"
    match message:
        case RequestVote():
            pre_vote = ", pre-vote" * message.pre_vote
            transfer = ", transfer" * message.leadership_transfer
            return f"{head}{pre_vote}{transfer}, last {message.last_log_index}/{message.last_log_term}"
        case RequestVoteResponse():
            answer = "granted" if message.granted else "refused"
            return f"{head}{', pre-vote' * message.pre_vote}, {answer}"
        case AppendEntries():
            new = f"{message.prev_log_index}/{message.prev_log_term} {describe_entries(message.entries)}"
            return f"{head}, after {new}, commit {message.leader_commit}"
        case AppendEntriesAccepted():
            return f"{head}, match {message.match_index}"
        case AppendEntriesRefused():
            hint = f"{message.hint_index}/{message.hint_term}"
            return f"{head}, rejected {message.rejected_index}, hint {hint}"
        case Heartbeat():
            return f"{head}, commit {message.commit_index}, round {message.round}"
        case HeartbeatResponse():
            return f"{head}, round {message.round}"
        case InstallSnapshot():
            return f"{head}, {message.snapshot.index}/{message.snapshot.term}"
        case TimeoutNow():
            return head


class ScriptedCluster(Cluster):
    """A cluster that tells what it does."""

    def __init__(self, words: list[str]) -> None:
        self.lines: list[str] = []
        self.shows_heartbeats = False
        count, *options = words
        logs: dict[int, list[int]] = {}
        terms: dict[int, int] = {}
        learners: list[int] = []
        limits: dict[str, int] = {}
        writes_at_once = True
        for option in options:
            name, _, value = option.partition("=")
            if name.startswith("log") and name[3:].isdigit():
                logs[int(name[3:])] = [int(term) for term in value.split(",")]
            elif name.startswith("term"):
                terms[int(name[4:])] = int(value)
            elif name == "learners":
                learners = [int(learner) for learner in value.split(",")]
            elif name == "writes":
                writes_at_once = value != "slow"
            else:
                assert name in {field.name for field in fields(Settings)}, option
                limits[name] = int(value)
        super().__init__(
            int(count),
            learners=learners,
            logs=logs,
            terms=terms,
            settings=Settings(**{"heartbeat_interval_ms": 100, **limits}),
            writes_at_once=writes_at_once,
        )
        self.observer = self.tell

    def tell(self, node: Node, ready: Ready) -> None:
        name = node.node_id
        if (change := ready.role_change) is not None:
            follows = f" of {change.leader}" if change.leader and change.role is Role.FOLLOWER else ""
            self.lines.append(f"  {name} is {change.role.value}{follows} in term {change.term}")
        self.lines += [f"  {name} proposed {made.index}/{made.term}" for made in ready.proposed]
        self.lines += [f"  {name} refused: {refused.reason.value}" for refused in ready.refused]
        if ready.install_snapshot is not None:
            snapshot = ready.install_snapshot
            self.lines.append(f"  {name} installs snapshot {snapshot.index}/{snapshot.term}")
        if ready.committed:
            self.lines.append(f"  {name} applies {describe_entries(ready.committed)}")
        self.lines += [
            f"  {name} confirmed read {read.ticket} at {read.index}" for read in ready.confirmed_reads
        ]
        self.lines += [f"  {name} failed read {ticket}" for ticket in ready.failed_reads]
        for sent in ready.send_snapshots:
            index, term = sent.snapshot.index, sent.snapshot.term
            self.lines.append(f"  {name} sends snapshot {index}/{term} to {sent.target}")

    def is_shown(self, message: Message) -> bool:
        return self.shows_heartbeats or not isinstance(message, Heartbeat | HeartbeatResponse)

    def receive(self, message: Message) -> None:
        if self.is_shown(message):
            self.lines.append(describe(message))
        super().receive(message)

    def lose(self, message: Message) -> None:
        if self.is_shown(message):
            self.lines.append(f"{describe(message)}: lost")
        super().lose(message)

    def take(self, link: str, position: str = "") -> list[Message]:
        """What is on this link, or the one message there at `position`, taken off the network."""
        sender, _, target = link.partition("->")
        taken = [
            message
            for message in self.network
            if sender in ("*", str(message.sender)) and target in ("*", str(message.target))
        ]
        if position:
            taken = [taken[int(position) - 1]]
        for message in taken:
            self.network.remove(message)
        return taken

    def status(self) -> list[str]:
        lines = []
        for name, node in self.nodes.items():
            raft = node.raft
            if not node.is_up:
                lines.append(f"{name}: down")
                continue
            leader = f" of {raft.leader_id}" if raft.leader_id and raft.role is Role.FOLLOWER else ""
            lines.append(
                f"{name}: {raft.role.value}{leader}, term {raft.term}, log {raft.first_log_index}.."
                f"{raft.last_log_index}, commit {raft.commit_index}, applied {raft.applied_index}"
            )
        return lines

    def log(self, node_id: int) -> str:
        log = self.nodes[node_id].core.log
        held = log.slice(log.first_index, log.last_index, 1 << 30)
        base = f"after {log.base_index}/{log.base_term} " if log.base_index else ""
        return f"{node_id}: {base}{describe_entries(tuple(held))}"

    def progress(self, node_id: int) -> list[str]:
        lines = []
        for peer, progress in self.nodes[node_id].raft.followers.items():
            line = f"{peer}: {progress.mode.value}, match {progress.match_index}, next {progress.next_index}"
            inflight = [int(index) for index, _ in progress._inflight]
            snapshot = f", snapshot {progress.snapshot_index}" if progress.snapshot_index else ""
            lines.append(line + (f", in flight {inflight}" if inflight else "") + snapshot)
        return lines


def run_script(text: str) -> str:
    """The script with the output that its commands bring about now."""
    recorded: list[str] = []
    cluster: ScriptedCluster | None = None
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            recorded.append(line)
        elif line.startswith("> "):
            recorded.append(line)
            words = line[2:].split()
            if words[0] == "cluster":
                cluster = ScriptedCluster(words[1:])
            else:
                assert cluster is not None, "a script begins with `> cluster`"
                run_command(cluster, words)
            recorded += cluster.lines
            cluster.lines.clear()
    return "\n".join(recorded) + "\n"


def lead(cluster: ScriptedCluster, node_id: int) -> None:
    writes_at_once, cluster.writes_at_once = cluster.writes_at_once, True
    cluster.elect(node_id)
    cluster.pass_ms(cluster.settings.heartbeat_interval_ms)
    cluster.writes_at_once = writes_at_once
    cluster.lines[:] = [f"  {node_id} is leader in term {cluster[node_id].raft.term}"]


def run_command(cluster: ScriptedCluster, words: list[str]) -> None:
    match words:
        case ["campaign", node]:
            campaigner = cluster[int(node)]
            pause_ms = max(0, campaigner.raft.deadline_ms - campaigner.clock_ms)
            for other in cluster.nodes.values():
                other.clock_ms += pause_ms
            cluster.step(int(node), TimePassed())
        case ["lead", node]:
            lead(cluster, int(node))
        case ["pass", duration]:
            cluster.pass_ms(int(duration))
        case ["propose", node, data]:
            cluster.propose(int(node), data.encode())
        case ["read", node, ticket]:
            cluster.read(int(node), int(ticket))
        case ["transfer", node, *targets]:
            chosen = NodeId(int(targets[0])) if targets else None
            cluster.step(int(node), TransferLeadership(target=chosen))
        case ["unreachable", node, peer]:
            cluster.step(int(node), Unreachable(peer=NodeId(int(peer))))
        case ["wait", node, peer]:
            cluster.step(int(node), CommitWanted(peer=NodeId(int(peer))))
        case ["deliver"]:
            cluster.deliver_all()
        case ["deliver", link, *position]:
            for message in cluster.take(link, *position):
                cluster.deliver(message)
        case ["drop", link, *position]:
            for message in cluster.take(link, *position):
                cluster.lose(message)
        case ["repeat", link, *position]:
            messages = cluster.take(link, *position)
            for message in messages:
                cluster.deliver(message)
            cluster.network = messages + cluster.network
        case ["cut", link]:
            sender, _, target = link.partition("->")
            cluster.cut((int(sender), int(target)))
        case ["isolate", node]:
            cluster.isolate(int(node))
        case ["heal"]:
            cluster.heal()
        case ["write", "all"]:
            for node_id in cluster.nodes:
                cluster.complete_writes(node_id)
        case ["write", node]:
            if cluster[int(node)].under_way is None:
                cluster.lines.append("  nothing to write")
            else:
                cluster.complete_write(int(node))
        case ["crash", node]:
            cluster.crash(int(node))
        case ["restart", node]:
            cluster.restart(int(node))
        case ["compact", node, *index]:
            cluster.flush_and_compact(int(node), int(index[0]) if index else None)
        case ["network"]:
            cluster.lines += [describe(message) for message in cluster.network]
        case ["heartbeats"]:
            cluster.shows_heartbeats = True
        case ["status"]:
            cluster.lines += cluster.status()
        case ["log", *nodes]:
            cluster.lines += [cluster.log(int(node)) for node in nodes]
        case ["progress", node]:
            cluster.lines += cluster.progress(int(node))
        case _:
            raise AssertionError(f"not a command: {' '.join(words)}")
