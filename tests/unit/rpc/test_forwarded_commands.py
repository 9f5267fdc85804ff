"""What another node forwards is checked as a client's request is, before it is proposed."""

from __future__ import annotations

from typing import Any

import pytest

from kvraft.errors import RequestError
from kvraft.raft.types import Term
from kvraft.rpc.forwarded_commands import check_commands
from kvraft.v1 import command_pb2

TERM = Term(7)
NESTED: dict[str, Any] = {"success": [{"get": {"key": b"k"}}]}
for _ in range(8):
    NESTED = {"success": [{"txn": NESTED}]}


def command(**fields: Any) -> bytes:
    return command_pb2.Command(**fields).SerializeToString()


GOOD = {
    "put": command(put={"key": b"k", "value": b"v"}),
    "numbered": command(put={"key": b"k"}, client_id=1, sequence=2, first_unacknowledged=2),
    "delete_range": command(delete_range={"limit": 10_000}),
    "batch": command(batch_write={"keys": [b"a", b"b"], "values": [b"", b"v"], "deletes": [0]}),
    "txn": command(
        txn={"compares": [{"start": b"k", "relation": 1, "exists": True}], **NESTED["success"][0]["txn"]}
    ),
    "list": command(list={"commands": [{"put": {"key": b"k"}}, {"grant_lease": {"ttl_ms": 1_000}}]}),
    "register": command(register_client={}),
    "unregister": command(unregister_client={"client_id": 3}),
    "expiry of an earlier leader": command(expire={"term": 6, "lease_ids": [1]}),
    "device": command(user_data={"register_device": {"user_id": "bob", "device_id": "phone"}}),
    "failed delivery": command(
        user_data={"fail_delivery": {"user_id": "bob", "device_id": "phone", "seq": 1}}
    ),
    "export": command(user_data={"record_export": {"user_id": "bob"}}),
    "acknowledgement": command(
        user_data={"acknowledge_messages": {"user_id": "bob", "device_id": "phone", "seqs": range(1, 5_000)}}
    ),
}
BAD = {
    "empty": b"",
    "garbage": b"\xff\xff\xff",
    "half a command": GOOD["put"][:-1],
    "of another version": b"\xaa\x06\x00",
    "key empty": command(put={"key": b""}),
    "key too long": command(put={"key": b"k" * 481}),
    "value too long": command(put={"key": b"k", "value": bytes((1 << 20) + 1)}),
    "too large": command(list={"commands": [{"put": {"key": b"k", "value": bytes(1 << 20)}}] * 9}),
    "number 0": command(put={"key": b"k"}, client_id=1),
    "number passed": command(put={"key": b"k"}, client_id=1, sequence=1, first_unacknowledged=2),
    "delete without key": command(delete={}),
    "range too long": command(delete_range={"start": b"k" * 482, "limit": 1}),
    "range backwards": command(delete_range={"start": b"b", "end": b"a", "limit": 1}),
    "range without limit": command(delete_range={}),
    "batch of nothing": command(batch_write={}),
    "batch without values": command(batch_write={"keys": [b"k"]}),
    "batch deletes beyond": command(batch_write={"keys": [b"k"], "values": [b""], "deletes": [1]}),
    "batch with half the leases": command(
        batch_write={"keys": [b"a", b"b"], "values": [b"", b""], "lease_ids": [1]}
    ),
    "relation": command(txn={"compares": [{"start": b"k", "relation": 9, "exists": True}]}),
    "compare with nothing": command(txn={"compares": [{"start": b"k", "relation": 1}]}),
    "existence of a range": command(txn={"compares": [{"is_range": True, "relation": 1, "exists": True}]}),
    "operation of nothing": command(txn={"success": [{}]}),
    "too deep": command(txn=NESTED),
    "too many": command(txn={"success": [{"get": {"key": b"k"}}] * 129}),
    "read without limit": command(txn={"success": [{"range": {}}]}),
    "list of nothing": command(list={}),
    "list in a list": command(list={"commands": [{"list": {"commands": [{"put": {"key": b"k"}}]}}]}),
    "client in a list": command(list={"commands": [{"put": {"key": b"k"}, "client_id": 1, "sequence": 1}]}),
    "registration in a list": command(list={"commands": [{"register_client": {}}]}),
    "lease for ever": command(grant_lease={"ttl_ms": (1 << 64) - 1}),
    "lease of no time": command(grant_lease={}),
    "renewal of nothing": command(renew_leases={}),
    "revocation of nothing": command(revoke_lease={}),
    "expiry": command(expire={"term": 7, "lease_ids": [1]}),
    "user data of nothing": command(user_data={}),
    "user without a name": command(user_data={"register_device": {"device_id": "phone"}}),
    "user with a long name": command(
        user_data={"fail_delivery": {"user_id": "b" * 1_000, "device_id": "phone", "seq": 1}}
    ),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD)
def test_what_a_correct_node_forwards(data: bytes) -> None:
    check_commands([data], TERM)


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
def test_what_no_correct_node_forwards(data: bytes) -> None:
    with pytest.raises(RequestError):
        check_commands([GOOD["put"], data], TERM)
