"""What Status tells of a follower and of a leader."""

from __future__ import annotations

from types import SimpleNamespace

from kvraft import errors
from kvraft.node.divergence import DigestAnswer
from kvraft.raft.configuration import Configuration
from kvraft.raft.ready import Role
from kvraft.raft.types import Index, NodeId
from kvraft.v1 import cluster_pb2
from kvraft.version import __version__
from tests.unit.rpc.conftest import Service
from tests.unit.rpc.fake_node import CLUSTER_ID


def status(service: Service) -> cluster_pb2.StatusResponse:
    return service.call(service.cluster.Status, cluster_pb2.StatusRequest())


def lead(service: Service) -> None:
    """Node 1 leads; it heard node 2 just now and node 3 long ago."""
    now_ms = service.node.now_ms()
    raft = service.node.replica.raft
    raft.role, raft.leader_id = Role.LEADER, NodeId(1)
    raft.followers = {
        NodeId(2): SimpleNamespace(match_index=Index(8), last_heard_ms=now_ms + 60_000),
        NodeId(3): SimpleNamespace(match_index=Index(4), last_heard_ms=now_ms - 601),
    }
    service.node.replica.leads = True


def test_a_follower_tells_where_it_is(service: Service) -> None:
    answer = status(service)
    assert answer.header.cluster_id == CLUSTER_ID
    assert (answer.version, answer.cluster_name) == (__version__, "test")
    assert answer.role == cluster_pb2.ROLE_FOLLOWER
    assert (answer.commit_index, answer.applied_index) == (8, 7)
    assert (answer.first_log_index, answer.last_log_index) == (3, 9)
    assert (answer.state_digest, answer.flushed_index) == (0xABCDEF0123456789, 5)
    assert (answer.state_bytes, answer.memory_table_bytes, answer.log_bytes) == (4096, 1234, 64 << 20)
    assert answer.uptime_ms < 60_000
    assert not answer.alarms
    assert [(m.id, m.client_address, m.peer_address) for m in answer.members] == [
        (1, "127.0.0.1:7001", "127.0.0.1:7002"),
        (2, "127.0.0.1:7003", "127.0.0.1:7004"),
        (3, "127.0.0.1:7005", "127.0.0.1:7006"),
    ]
    assert [(m.match_index, m.active) for m in answer.members] == [(0, False)] * 3


def test_every_role_has_its_name(service: Service) -> None:
    for role, name in (
        (Role.FOLLOWER, "ROLE_FOLLOWER"),
        (Role.PRE_CANDIDATE, "ROLE_PRE_CANDIDATE"),
        (Role.CANDIDATE, "ROLE_CANDIDATE"),
        (Role.LEADER, "ROLE_LEADER"),
    ):
        service.node.replica.raft.role = role
        assert cluster_pb2.Role.Name(status(service).role) == name
    assert len(Role) == 4


def test_a_leader_tells_how_far_the_others_are(service: Service) -> None:
    lead(service)
    members = status(service).members
    assert [(m.match_index, m.active) for m in members] == [(7, True), (8, True), (4, False)]


def test_members_that_only_listen_and_members_without_addresses(service: Service) -> None:
    service.node.replica.raft.configuration = Configuration((NodeId(1),), (NodeId(9),))
    own, learner = status(service).members
    assert (own.learner, learner.id, learner.learner, learner.peer_address) == (False, 9, True, "")


def test_a_full_disk_is_an_alarm_of_this_node(service: Service) -> None:
    service.node.replica.refuses_growth = True
    (alarm,) = status(service).alarms
    assert (alarm.kind, alarm.member_id) == (cluster_pb2.ALARM_KIND_NO_SPACE, 1)


def test_the_leader_names_whose_state_differs(service: Service) -> None:
    replica = service.node.replica
    digests, configuration = replica.digests, replica.raft.configuration
    digests.ask(NodeId(1), Index(5), 1)
    digests.judge(NodeId(3), DigestAnswer(Index(5), 2), NodeId(1), configuration)
    assert not status(service).alarms  # what a former leader remembers may long be mended
    lead(service)
    (alarm,) = status(service).alarms
    assert (alarm.kind, alarm.member_id) == (cluster_pb2.ALARM_KIND_DIVERGED, 3)
    assert "no majority says which is right" in alarm.message

    digests.judge(NodeId(2), DigestAnswer(Index(5), 1), NodeId(1), configuration)
    (alarm,) = status(service).alarms
    assert (alarm.kind, alarm.member_id) == (cluster_pb2.ALARM_KIND_DIVERGED, 3)
    assert "differs from a majority's at index 5" in alarm.message


def test_a_node_whose_state_differs_says_so(service: Service) -> None:
    service.node.replica.refusal = errors.diverged()
    (alarm,) = status(service).alarms
    assert (alarm.kind, alarm.member_id) == (cluster_pb2.ALARM_KIND_DIVERGED, 1)
    assert "move its data directory aside" in alarm.message
