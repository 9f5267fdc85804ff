from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LogEntryKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOG_ENTRY_KIND_UNSPECIFIED: _ClassVar[LogEntryKind]
    LOG_ENTRY_KIND_NOOP: _ClassVar[LogEntryKind]
    LOG_ENTRY_KIND_COMMAND: _ClassVar[LogEntryKind]
    LOG_ENTRY_KIND_CONFIGURATION: _ClassVar[LogEntryKind]

class RefusalReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REFUSAL_REASON_UNSPECIFIED: _ClassVar[RefusalReason]
    REFUSAL_REASON_NOT_LEADER: _ClassVar[RefusalReason]
    REFUSAL_REASON_OVERLOADED: _ClassVar[RefusalReason]
    REFUSAL_REASON_NO_SPACE: _ClassVar[RefusalReason]
    REFUSAL_REASON_INVALID: _ClassVar[RefusalReason]
LOG_ENTRY_KIND_UNSPECIFIED: LogEntryKind
LOG_ENTRY_KIND_NOOP: LogEntryKind
LOG_ENTRY_KIND_COMMAND: LogEntryKind
LOG_ENTRY_KIND_CONFIGURATION: LogEntryKind
REFUSAL_REASON_UNSPECIFIED: RefusalReason
REFUSAL_REASON_NOT_LEADER: RefusalReason
REFUSAL_REASON_OVERLOADED: RefusalReason
REFUSAL_REASON_NO_SPACE: RefusalReason
REFUSAL_REASON_INVALID: RefusalReason

class Envelope(_message.Message):
    __slots__ = ("cluster_id", "sender_id", "target_id")
    CLUSTER_ID_FIELD_NUMBER: _ClassVar[int]
    SENDER_ID_FIELD_NUMBER: _ClassVar[int]
    TARGET_ID_FIELD_NUMBER: _ClassVar[int]
    cluster_id: int
    sender_id: int
    target_id: int
    def __init__(self, cluster_id: _Optional[int] = ..., sender_id: _Optional[int] = ..., target_id: _Optional[int] = ...) -> None: ...

class RequestVoteRequest(_message.Message):
    __slots__ = ("envelope", "term", "last_log_index", "last_log_term", "pre_vote", "leadership_transfer")
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
    LAST_LOG_TERM_FIELD_NUMBER: _ClassVar[int]
    PRE_VOTE_FIELD_NUMBER: _ClassVar[int]
    LEADERSHIP_TRANSFER_FIELD_NUMBER: _ClassVar[int]
    envelope: Envelope
    term: int
    last_log_index: int
    last_log_term: int
    pre_vote: bool
    leadership_transfer: bool
    def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping]] = ..., term: _Optional[int] = ..., last_log_index: _Optional[int] = ..., last_log_term: _Optional[int] = ..., pre_vote: _Optional[bool] = ..., leadership_transfer: _Optional[bool] = ...) -> None: ...

class RequestVoteResponse(_message.Message):
    __slots__ = ("term", "vote_granted")
    TERM_FIELD_NUMBER: _ClassVar[int]
    VOTE_GRANTED_FIELD_NUMBER: _ClassVar[int]
    term: int
    vote_granted: bool
    def __init__(self, term: _Optional[int] = ..., vote_granted: _Optional[bool] = ...) -> None: ...

class LogEntry(_message.Message):
    __slots__ = ("index", "term", "kind", "data")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    index: int
    term: int
    kind: LogEntryKind
    data: bytes
    def __init__(self, index: _Optional[int] = ..., term: _Optional[int] = ..., kind: _Optional[_Union[LogEntryKind, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class AppendEntriesRequest(_message.Message):
    __slots__ = ("envelope", "term", "append", "heartbeat", "timeout_now", "digest_question", "divergence_found")
    class Append(_message.Message):
        __slots__ = ("prev_log_index", "prev_log_term", "entries", "leader_commit")
        PREV_LOG_INDEX_FIELD_NUMBER: _ClassVar[int]
        PREV_LOG_TERM_FIELD_NUMBER: _ClassVar[int]
        ENTRIES_FIELD_NUMBER: _ClassVar[int]
        LEADER_COMMIT_FIELD_NUMBER: _ClassVar[int]
        prev_log_index: int
        prev_log_term: int
        entries: _containers.RepeatedCompositeFieldContainer[LogEntry]
        leader_commit: int
        def __init__(self, prev_log_index: _Optional[int] = ..., prev_log_term: _Optional[int] = ..., entries: _Optional[_Iterable[_Union[LogEntry, _Mapping]]] = ..., leader_commit: _Optional[int] = ...) -> None: ...
    class Heartbeat(_message.Message):
        __slots__ = ("commit_index", "round")
        COMMIT_INDEX_FIELD_NUMBER: _ClassVar[int]
        ROUND_FIELD_NUMBER: _ClassVar[int]
        commit_index: int
        round: int
        def __init__(self, commit_index: _Optional[int] = ..., round: _Optional[int] = ...) -> None: ...
    class TimeoutNow(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class DigestQuestion(_message.Message):
        __slots__ = ("applied_index",)
        APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
        applied_index: int
        def __init__(self, applied_index: _Optional[int] = ...) -> None: ...
    class DivergenceFound(_message.Message):
        __slots__ = ("applied_index", "digest")
        APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
        DIGEST_FIELD_NUMBER: _ClassVar[int]
        applied_index: int
        digest: int
        def __init__(self, applied_index: _Optional[int] = ..., digest: _Optional[int] = ...) -> None: ...
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    TERM_FIELD_NUMBER: _ClassVar[int]
    APPEND_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    TIMEOUT_NOW_FIELD_NUMBER: _ClassVar[int]
    DIGEST_QUESTION_FIELD_NUMBER: _ClassVar[int]
    DIVERGENCE_FOUND_FIELD_NUMBER: _ClassVar[int]
    envelope: Envelope
    term: int
    append: AppendEntriesRequest.Append
    heartbeat: AppendEntriesRequest.Heartbeat
    timeout_now: AppendEntriesRequest.TimeoutNow
    digest_question: AppendEntriesRequest.DigestQuestion
    divergence_found: AppendEntriesRequest.DivergenceFound
    def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping]] = ..., term: _Optional[int] = ..., append: _Optional[_Union[AppendEntriesRequest.Append, _Mapping]] = ..., heartbeat: _Optional[_Union[AppendEntriesRequest.Heartbeat, _Mapping]] = ..., timeout_now: _Optional[_Union[AppendEntriesRequest.TimeoutNow, _Mapping]] = ..., digest_question: _Optional[_Union[AppendEntriesRequest.DigestQuestion, _Mapping]] = ..., divergence_found: _Optional[_Union[AppendEntriesRequest.DivergenceFound, _Mapping]] = ...) -> None: ...

class AppendEntriesResponse(_message.Message):
    __slots__ = ("term", "accepted", "refused", "heartbeat_ack", "state_digest")
    class Accepted(_message.Message):
        __slots__ = ("match_index",)
        MATCH_INDEX_FIELD_NUMBER: _ClassVar[int]
        match_index: int
        def __init__(self, match_index: _Optional[int] = ...) -> None: ...
    class Refused(_message.Message):
        __slots__ = ("rejected_index", "hint_index", "hint_term")
        REJECTED_INDEX_FIELD_NUMBER: _ClassVar[int]
        HINT_INDEX_FIELD_NUMBER: _ClassVar[int]
        HINT_TERM_FIELD_NUMBER: _ClassVar[int]
        rejected_index: int
        hint_index: int
        hint_term: int
        def __init__(self, rejected_index: _Optional[int] = ..., hint_index: _Optional[int] = ..., hint_term: _Optional[int] = ...) -> None: ...
    class HeartbeatAck(_message.Message):
        __slots__ = ("round", "wall_ms", "follows_commits", "diverged")
        ROUND_FIELD_NUMBER: _ClassVar[int]
        WALL_MS_FIELD_NUMBER: _ClassVar[int]
        FOLLOWS_COMMITS_FIELD_NUMBER: _ClassVar[int]
        DIVERGED_FIELD_NUMBER: _ClassVar[int]
        round: int
        wall_ms: int
        follows_commits: bool
        diverged: bool
        def __init__(self, round: _Optional[int] = ..., wall_ms: _Optional[int] = ..., follows_commits: _Optional[bool] = ..., diverged: _Optional[bool] = ...) -> None: ...
    class StateDigest(_message.Message):
        __slots__ = ("applied_index", "digest")
        APPLIED_INDEX_FIELD_NUMBER: _ClassVar[int]
        DIGEST_FIELD_NUMBER: _ClassVar[int]
        applied_index: int
        digest: int
        def __init__(self, applied_index: _Optional[int] = ..., digest: _Optional[int] = ...) -> None: ...
    TERM_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_ACK_FIELD_NUMBER: _ClassVar[int]
    STATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    term: int
    accepted: AppendEntriesResponse.Accepted
    refused: AppendEntriesResponse.Refused
    heartbeat_ack: AppendEntriesResponse.HeartbeatAck
    state_digest: AppendEntriesResponse.StateDigest
    def __init__(self, term: _Optional[int] = ..., accepted: _Optional[_Union[AppendEntriesResponse.Accepted, _Mapping]] = ..., refused: _Optional[_Union[AppendEntriesResponse.Refused, _Mapping]] = ..., heartbeat_ack: _Optional[_Union[AppendEntriesResponse.HeartbeatAck, _Mapping]] = ..., state_digest: _Optional[_Union[AppendEntriesResponse.StateDigest, _Mapping]] = ...) -> None: ...

class InstallSnapshotRequest(_message.Message):
    __slots__ = ("header", "rows", "trailer")
    class Header(_message.Message):
        __slots__ = ("envelope", "term", "last_included_index", "last_included_term", "voter_ids", "learner_ids")
        ENVELOPE_FIELD_NUMBER: _ClassVar[int]
        TERM_FIELD_NUMBER: _ClassVar[int]
        LAST_INCLUDED_INDEX_FIELD_NUMBER: _ClassVar[int]
        LAST_INCLUDED_TERM_FIELD_NUMBER: _ClassVar[int]
        VOTER_IDS_FIELD_NUMBER: _ClassVar[int]
        LEARNER_IDS_FIELD_NUMBER: _ClassVar[int]
        envelope: Envelope
        term: int
        last_included_index: int
        last_included_term: int
        voter_ids: _containers.RepeatedScalarFieldContainer[int]
        learner_ids: _containers.RepeatedScalarFieldContainer[int]
        def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping]] = ..., term: _Optional[int] = ..., last_included_index: _Optional[int] = ..., last_included_term: _Optional[int] = ..., voter_ids: _Optional[_Iterable[int]] = ..., learner_ids: _Optional[_Iterable[int]] = ...) -> None: ...
    class Rows(_message.Message):
        __slots__ = ("keys", "values")
        KEYS_FIELD_NUMBER: _ClassVar[int]
        VALUES_FIELD_NUMBER: _ClassVar[int]
        keys: _containers.RepeatedScalarFieldContainer[bytes]
        values: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, keys: _Optional[_Iterable[bytes]] = ..., values: _Optional[_Iterable[bytes]] = ...) -> None: ...
    class Trailer(_message.Message):
        __slots__ = ("row_count", "checksum", "state_digest")
        ROW_COUNT_FIELD_NUMBER: _ClassVar[int]
        CHECKSUM_FIELD_NUMBER: _ClassVar[int]
        STATE_DIGEST_FIELD_NUMBER: _ClassVar[int]
        row_count: int
        checksum: bytes
        state_digest: int
        def __init__(self, row_count: _Optional[int] = ..., checksum: _Optional[bytes] = ..., state_digest: _Optional[int] = ...) -> None: ...
    HEADER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    TRAILER_FIELD_NUMBER: _ClassVar[int]
    header: InstallSnapshotRequest.Header
    rows: InstallSnapshotRequest.Rows
    trailer: InstallSnapshotRequest.Trailer
    def __init__(self, header: _Optional[_Union[InstallSnapshotRequest.Header, _Mapping]] = ..., rows: _Optional[_Union[InstallSnapshotRequest.Rows, _Mapping]] = ..., trailer: _Optional[_Union[InstallSnapshotRequest.Trailer, _Mapping]] = ...) -> None: ...

class InstallSnapshotResponse(_message.Message):
    __slots__ = ("term",)
    TERM_FIELD_NUMBER: _ClassVar[int]
    term: int
    def __init__(self, term: _Optional[int] = ...) -> None: ...

class ForwardRequest(_message.Message):
    __slots__ = ("envelope", "group", "read")
    class Group(_message.Message):
        __slots__ = ("group_id", "term", "grows_state", "commands")
        GROUP_ID_FIELD_NUMBER: _ClassVar[int]
        TERM_FIELD_NUMBER: _ClassVar[int]
        GROWS_STATE_FIELD_NUMBER: _ClassVar[int]
        COMMANDS_FIELD_NUMBER: _ClassVar[int]
        group_id: int
        term: int
        grows_state: bool
        commands: _containers.RepeatedScalarFieldContainer[bytes]
        def __init__(self, group_id: _Optional[int] = ..., term: _Optional[int] = ..., grows_state: _Optional[bool] = ..., commands: _Optional[_Iterable[bytes]] = ...) -> None: ...
    class Read(_message.Message):
        __slots__ = ("read_id",)
        READ_ID_FIELD_NUMBER: _ClassVar[int]
        read_id: int
        def __init__(self, read_id: _Optional[int] = ...) -> None: ...
    ENVELOPE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    envelope: Envelope
    group: ForwardRequest.Group
    read: ForwardRequest.Read
    def __init__(self, envelope: _Optional[_Union[Envelope, _Mapping]] = ..., group: _Optional[_Union[ForwardRequest.Group, _Mapping]] = ..., read: _Optional[_Union[ForwardRequest.Read, _Mapping]] = ...) -> None: ...

class ForwardResponse(_message.Message):
    __slots__ = ("refused", "read_index", "read_failed")
    class Refused(_message.Message):
        __slots__ = ("group_id", "reason")
        GROUP_ID_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        group_id: int
        reason: RefusalReason
        def __init__(self, group_id: _Optional[int] = ..., reason: _Optional[_Union[RefusalReason, str]] = ...) -> None: ...
    class ReadIndex(_message.Message):
        __slots__ = ("read_id", "index")
        READ_ID_FIELD_NUMBER: _ClassVar[int]
        INDEX_FIELD_NUMBER: _ClassVar[int]
        read_id: int
        index: int
        def __init__(self, read_id: _Optional[int] = ..., index: _Optional[int] = ...) -> None: ...
    class ReadFailed(_message.Message):
        __slots__ = ("read_id",)
        READ_ID_FIELD_NUMBER: _ClassVar[int]
        read_id: int
        def __init__(self, read_id: _Optional[int] = ...) -> None: ...
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    READ_INDEX_FIELD_NUMBER: _ClassVar[int]
    READ_FAILED_FIELD_NUMBER: _ClassVar[int]
    refused: ForwardResponse.Refused
    read_index: ForwardResponse.ReadIndex
    read_failed: ForwardResponse.ReadFailed
    def __init__(self, refused: _Optional[_Union[ForwardResponse.Refused, _Mapping]] = ..., read_index: _Optional[_Union[ForwardResponse.ReadIndex, _Mapping]] = ..., read_failed: _Optional[_Union[ForwardResponse.ReadFailed, _Mapping]] = ...) -> None: ...
