"""Requests that concern users as a whole. Each check raises RequestError, which names the field."""

from __future__ import annotations

from kvraft.rpc.kv_requests import Write, invalid
from kvraft.rpc.users.checks import check_bytes, check_user_id
from kvraft.v1 import admin_pb2, command_pb2, user_data_pb2

NOTE_BYTES_MAX = 256
FINDINGS_DEFAULT = 100
FINDINGS_MAX = 10_000


def check_erase_user(request: admin_pb2.EraseUserRequest) -> None:
    """Of EraseUser."""
    _check(request.user_id, request.note)


def export_command(request: admin_pb2.ExportUserRequest) -> Write:
    """The command that notes an export: this node's own, not the client's, who asks for the export as a
    whole."""
    _check(request.user_id, request.note)
    command = command_pb2.Command()
    command.user_data.record_export.user_id = request.user_id
    command.user_data.record_export.note = request.note
    return Write(command.SerializeToString(), grows_state=True)


def check_record_export(command: user_data_pb2.RecordExportCommand) -> None:
    """What a node notes of an export."""
    _check(command.user_id, command.note)


def check_max_findings(max_findings: int) -> int:
    """Of CheckState."""
    if max_findings > FINDINGS_MAX:
        raise invalid("max_findings", f"is {max_findings:,}; at most {FINDINGS_MAX:,} are allowed")
    return max_findings or FINDINGS_DEFAULT


def _check(user_id: str, note: str) -> None:
    check_user_id("user_id", user_id)
    check_bytes("note", note, NOTE_BYTES_MAX)
