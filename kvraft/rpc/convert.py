"""Between the algorithm's messages and their protobuf form.

What comes from a peer is checked here, before the algorithm sees it: a message that no correct
node sends is refused with `PeerProtocolError`.
"""

from __future__ import annotations

from collections.abc import Iterable

from kvraft.errors import Reason
from kvraft.machine.machine import TIME_MS_MAX
from kvraft.node.divergence import DigestAnswer, DigestMessage, DigestQuestion, DivergenceFound
from kvraft.node.forwarding import (
    ForwardAnswer,
    ForwardedGroup,
    ForwardedRead,
    ForwardRequest,
    GroupRefused,
    ReadIndexAnswer,
    ReadRefused,
)
from kvraft.raft.messages import (
    AppendEntries,
    AppendEntriesAccepted,
    AppendEntriesRefused,
    Heartbeat,
    HeartbeatResponse,
    RequestVote,
    RequestVoteResponse,
    TimeoutNow,
)
from kvraft.raft.types import Entry, EntryKind, Index, NodeId, Standing, Term
from kvraft.v1 import raft_pb2

StreamedRequest = AppendEntries | Heartbeat | TimeoutNow
"""What travels in the AppendEntries stream from the leader."""
StreamedResponse = AppendEntriesAccepted | AppendEntriesRefused | HeartbeatResponse
"""What travels back."""

_KIND_TO_PROTO = {
    EntryKind.NOOP: raft_pb2.LOG_ENTRY_KIND_NOOP,
    EntryKind.COMMAND: raft_pb2.LOG_ENTRY_KIND_COMMAND,
    EntryKind.CONFIGURATION: raft_pb2.LOG_ENTRY_KIND_CONFIGURATION,
}
_KIND_FROM_PROTO = {value: kind for kind, value in _KIND_TO_PROTO.items()}
_REASON_TO_PROTO = {
    Reason.NO_LEADER: raft_pb2.REFUSAL_REASON_NOT_LEADER,
    Reason.OVERLOADED: raft_pb2.REFUSAL_REASON_OVERLOADED,
    Reason.NO_SPACE: raft_pb2.REFUSAL_REASON_NO_SPACE,
    Reason.INVALID_ARGUMENT: raft_pb2.REFUSAL_REASON_INVALID,
}
_REASON_FROM_PROTO = {value: reason for reason, value in _REASON_TO_PROTO.items()}


class PeerProtocolError(Exception):
    """A peer sent what no correct node sends; the message was refused."""


def vote_to_proto(message: RequestVote, envelope: raft_pb2.Envelope) -> raft_pb2.RequestVoteRequest:
    return raft_pb2.RequestVoteRequest(
        envelope=envelope,
        term=message.term,
        last_log_index=message.last_log_index,
        last_log_term=message.last_log_term,
        pre_vote=message.pre_vote,
        leadership_transfer=message.leadership_transfer,
    )


def vote_from_proto(request: raft_pb2.RequestVoteRequest) -> RequestVote:
    return RequestVote(
        sender=NodeId(request.envelope.sender_id),
        target=NodeId(request.envelope.target_id),
        term=Term(request.term),
        last_log_index=Index(request.last_log_index),
        last_log_term=Term(request.last_log_term),
        pre_vote=request.pre_vote,
        leadership_transfer=request.leadership_transfer,
    )


def vote_response_to_proto(message: RequestVoteResponse) -> raft_pb2.RequestVoteResponse:
    return raft_pb2.RequestVoteResponse(term=message.term, vote_granted=message.granted)


def vote_response_from_proto(
    response: raft_pb2.RequestVoteResponse, request: RequestVote
) -> RequestVoteResponse:
    return RequestVoteResponse(
        sender=request.target,
        target=request.sender,
        term=Term(response.term),
        granted=response.vote_granted,
        pre_vote=request.pre_vote,
    )


def entry_to_proto(entry: Entry) -> raft_pb2.LogEntry:
    return raft_pb2.LogEntry(
        index=entry.index, term=entry.term, kind=_KIND_TO_PROTO[entry.kind], data=entry.data
    )


def entries_from_proto(
    prev_index: int, prev_term: int, leader_term: int, entries: Iterable[raft_pb2.LogEntry]
) -> tuple[Entry, ...]:
    """The entries, which must be contiguous and whose terms must not fall nor exceed the leader's."""
    converted: list[Entry] = []
    for entry in entries:
        kind = _KIND_FROM_PROTO.get(entry.kind)
        if kind is None:
            raise PeerProtocolError(f"entry {entry.index} is of unknown kind {entry.kind}")
        if entry.index != prev_index + 1 or not prev_term <= entry.term <= leader_term:
            raise PeerProtocolError(
                f"entry ({entry.index}, term {entry.term}) cannot follow ({prev_index}, term {prev_term}) "
                f"from a leader of term {leader_term}"
            )
        converted.append(Entry(Index(entry.index), Term(entry.term), kind, entry.data))
        prev_index, prev_term = entry.index, entry.term
    return tuple(converted)


def streamed_to_proto(message: StreamedRequest) -> raft_pb2.AppendEntriesRequest:
    match message:
        case AppendEntries():
            return raft_pb2.AppendEntriesRequest(
                term=message.term,
                append=raft_pb2.AppendEntriesRequest.Append(
                    prev_log_index=message.prev_log_index,
                    prev_log_term=message.prev_log_term,
                    entries=map(entry_to_proto, message.entries),
                    leader_commit=message.leader_commit,
                ),
            )
        case Heartbeat():
            return raft_pb2.AppendEntriesRequest(
                term=message.term,
                heartbeat=raft_pb2.AppendEntriesRequest.Heartbeat(
                    commit_index=message.commit_index, round=message.round
                ),
            )
        case TimeoutNow():
            return raft_pb2.AppendEntriesRequest(
                term=message.term, timeout_now=raft_pb2.AppendEntriesRequest.TimeoutNow()
            )


def streamed_from_proto(
    request: raft_pb2.AppendEntriesRequest, sender: NodeId, target: NodeId
) -> StreamedRequest:
    term = Term(request.term)
    match request.WhichOneof("frame"):
        case "append":
            append = request.append
            return AppendEntries(
                sender=sender,
                target=target,
                term=term,
                prev_log_index=Index(append.prev_log_index),
                prev_log_term=Term(append.prev_log_term),
                entries=entries_from_proto(append.prev_log_index, append.prev_log_term, term, append.entries),
                leader_commit=Index(append.leader_commit),
            )
        case "heartbeat":
            return Heartbeat(
                sender=sender,
                target=target,
                term=term,
                commit_index=Index(request.heartbeat.commit_index),
                round=request.heartbeat.round,
            )
        case "timeout_now":
            return TimeoutNow(sender=sender, target=target, term=term)
        case _:
            raise PeerProtocolError("an AppendEntries frame of a kind this node does not know")


def response_to_proto(message: StreamedResponse) -> raft_pb2.AppendEntriesResponse:
    match message:
        case AppendEntriesAccepted():
            return raft_pb2.AppendEntriesResponse(
                term=message.term,
                accepted=raft_pb2.AppendEntriesResponse.Accepted(match_index=message.match_index),
            )
        case AppendEntriesRefused():
            return raft_pb2.AppendEntriesResponse(
                term=message.term,
                refused=raft_pb2.AppendEntriesResponse.Refused(
                    rejected_index=message.rejected_index,
                    hint_index=message.hint_index,
                    hint_term=message.hint_term,
                ),
            )
        case HeartbeatResponse():
            return raft_pb2.AppendEntriesResponse(
                term=message.term,
                heartbeat_ack=raft_pb2.AppendEntriesResponse.HeartbeatAck(
                    round=message.round,
                    wall_ms=message.wall_ms or 0,
                    follows_commits=message.follows_commits,
                    diverged=message.standing is Standing.DIVERGED,
                ),
            )


def digest_to_proto(
    message: DigestMessage,
) -> raft_pb2.AppendEntriesRequest | raft_pb2.AppendEntriesResponse:
    request, response = raft_pb2.AppendEntriesRequest, raft_pb2.AppendEntriesResponse
    match message:
        case DigestQuestion(index=index):
            return request(digest_question=request.DigestQuestion(applied_index=index))
        case DivergenceFound(index=index, digest=digest):
            return request(divergence_found=request.DivergenceFound(applied_index=index, digest=digest))
        case DigestAnswer(index=index, digest=digest):
            return response(state_digest=response.StateDigest(applied_index=index, digest=digest))


def digest_from_request(frame: raft_pb2.AppendEntriesRequest) -> DigestMessage | None:
    """None if the frame is about something else."""
    match frame.WhichOneof("frame"):
        case "digest_question":
            return DigestQuestion(Index(frame.digest_question.applied_index))
        case "divergence_found":
            found = frame.divergence_found
            return DivergenceFound(Index(found.applied_index), found.digest)
        case _:
            return None


def digest_from_response(frame: raft_pb2.AppendEntriesResponse) -> DigestMessage | None:
    """None if the frame is about something else."""
    if frame.WhichOneof("frame") != "state_digest":
        return None
    return DigestAnswer(Index(frame.state_digest.applied_index), frame.state_digest.digest)


def response_from_proto(
    response: raft_pb2.AppendEntriesResponse, sender: NodeId, target: NodeId
) -> StreamedResponse:
    """Everything but a state digest, which is not the algorithm's."""
    term = Term(response.term)
    match response.WhichOneof("frame"):
        case "accepted":
            return AppendEntriesAccepted(
                sender=sender, target=target, term=term, match_index=Index(response.accepted.match_index)
            )
        case "refused":
            return AppendEntriesRefused(
                sender=sender,
                target=target,
                term=term,
                rejected_index=Index(response.refused.rejected_index),
                hint_index=Index(response.refused.hint_index),
                hint_term=Term(response.refused.hint_term),
            )
        case "heartbeat_ack":
            ack = response.heartbeat_ack
            if ack.wall_ms > TIME_MS_MAX:
                raise PeerProtocolError(f"a clock that shows {ack.wall_ms} ms since the Unix epoch")
            return HeartbeatResponse(
                sender=sender,
                target=target,
                term=term,
                round=ack.round,
                standing=Standing.DIVERGED if ack.diverged else Standing.MEMBER,
                wall_ms=ack.wall_ms or None,
                follows_commits=ack.follows_commits,
            )
        case _:
            raise PeerProtocolError("an AppendEntries answer of a kind this node does not know")


def forward_to_proto(request: ForwardRequest) -> raft_pb2.ForwardRequest:
    match request:
        case ForwardedGroup():
            return raft_pb2.ForwardRequest(
                group=raft_pb2.ForwardRequest.Group(
                    group_id=request.group_id,
                    term=request.term,
                    grows_state=request.grows_state,
                    commands=request.commands,
                )
            )
        case ForwardedRead():
            return raft_pb2.ForwardRequest(read=raft_pb2.ForwardRequest.Read(read_id=request.read_id))


def forward_from_proto(request: raft_pb2.ForwardRequest) -> ForwardRequest:
    match request.WhichOneof("frame"):
        case "group":
            group = request.group
            return ForwardedGroup(
                group_id=group.group_id,
                term=Term(group.term),
                grows_state=group.grows_state,
                commands=tuple(group.commands),
            )
        case "read":
            return ForwardedRead(read_id=request.read.read_id)
        case _:
            raise PeerProtocolError("a Forward frame of a kind this node does not know")


def answer_to_proto(answer: ForwardAnswer) -> raft_pb2.ForwardResponse:
    match answer:
        case GroupRefused():
            return raft_pb2.ForwardResponse(
                refused=raft_pb2.ForwardResponse.Refused(
                    group_id=answer.group_id, reason=_REASON_TO_PROTO[answer.reason]
                )
            )
        case ReadIndexAnswer():
            return raft_pb2.ForwardResponse(
                read_index=raft_pb2.ForwardResponse.ReadIndex(read_id=answer.read_id, index=answer.index)
            )
        case ReadRefused():
            return raft_pb2.ForwardResponse(
                read_failed=raft_pb2.ForwardResponse.ReadFailed(read_id=answer.read_id)
            )


def answer_from_proto(response: raft_pb2.ForwardResponse) -> ForwardAnswer:
    match response.WhichOneof("frame"):
        case "refused":
            reason = _REASON_FROM_PROTO.get(response.refused.reason, Reason.NO_LEADER)
            return GroupRefused(group_id=response.refused.group_id, reason=reason)
        case "read_index":
            return ReadIndexAnswer(
                read_id=response.read_index.read_id, index=Index(response.read_index.index)
            )
        case "read_failed":
            return ReadRefused(read_id=response.read_failed.read_id)
        case _:
            raise PeerProtocolError("a Forward answer of a kind this node does not know")
