"""What strace prints is read as it was meant, and what cannot be understood is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvraft.v1 import common_pb2, kv_pb2
from tests.powerloss import strace
from tests.powerloss.events import Answer, Event, Link, Rename, Sync, Write, WriteSync
from tests.powerloss.strace import RecordingError
from tests.powerloss.translation import answers_of, events_of

DATA = Path("/run/data")


def _hex(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode("latin-1"))


def _events(*lines: str) -> list[Event]:
    opened = (
        f'7 mkdir("{_hex("/run/data")}", 0700) = 0',
        f'7 openat(AT_FDCWD<{_hex("/")}>, "{_hex("/run/data/f")}", O_RDWR|O_CREAT|O_DSYNC, 0600) = '
        f"3<{_hex('/run/data/f')}>",
    )
    _, events = events_of(strace.read([*opened, *lines]), DATA)
    assert isinstance(events[0], Link)
    assert isinstance(events[1], Link)
    return events[2:]


FILE = f"3<{_hex('/run/data/f')}>"


def test_calls_that_overlap_keep_their_order() -> None:
    events = _events(
        f'7 pwrite64({FILE}, "{_hex("abc")}", 3, 5 <unfinished ...>',
        f"8 fdatasync({FILE} <unfinished ...>",
        "7 <... pwrite64 resumed>) = 2",
        "8 <... fdatasync resumed>) = 0",
    )
    assert events == [
        Write(moment=4, ended=9, file=2, offset=5, data=b"ab"),
        WriteSync(moment=9, written=4, file=2),
        Sync(moment=11, began=6, inode=2),
    ]


def test_a_vector_with_rwf_dsync_is_a_durable_write() -> None:
    opened = (
        f'7 openat(AT_FDCWD<{_hex("/")}>, "{_hex("/run/data/g")}", O_RDWR|O_CREAT, 0600) = 4<{_hex("/x")}>'
    )
    iov = f'[{{iov_base="{_hex("ab")}", iov_len=2}}, {{iov_base="{_hex("c")}", iov_len=1}}]'
    events = _events(opened, f"7 pwritev2(4<{_hex('/run/data/g')}>, {iov}, 2, 9, RWF_DSYNC) = 3")
    assert events[1:] == [
        Write(moment=6, ended=7, file=3, offset=9, data=b"abc"),
        WriteSync(moment=7, written=6, file=3),
    ]


def test_a_file_keeps_its_identity_through_a_rename() -> None:
    events = _events(
        f'7 rename("{_hex("/run/data/f")}", "{_hex("/run/data/h")}") = 0',
        f"7 lseek(3<{_hex('/run/data/h')}>, 4, SEEK_SET) = 4",
        f'7 write(3<{_hex("/run/data/h")}>, "{_hex("x")}", 1) = 1',
    )
    assert events[0] == Rename(moment=4, ended=5, directory=1, old="f", new="h")
    assert events[1] == Write(moment=8, ended=9, file=2, offset=4, data=b"x")


def test_what_failed_did_nothing() -> None:
    assert _events(f"7 fsync({FILE}) = -1 EIO (Input/output error)") == []


@pytest.mark.parametrize(
    "line",
    [
        f'7 pwrite64({FILE}, "{_hex("abc")}", 3, 5 <unfinished ...>',
        f'7 pwrite64({FILE}, "{_hex("abc")}", 3, 5) = ?',
        f'7 pwrite64({FILE}, "{_hex("abc")}"..., 9, 5) = 9',
        f"7 copy_file_range({FILE}, NULL, {FILE}, NULL, 1, 0) = 1",
        "7 something that strace never said",
    ],
)
def test_what_is_not_known_is_refused(line: str) -> None:
    with pytest.raises(RecordingError):
        _events(line)


def test_answers_are_found_in_http2_frames_however_they_are_cut() -> None:
    message = kv_pb2.PutResponse(
        header=common_pb2.ResponseHeader(leader_id=2, term=3, revision=9)
    ).SerializeToString()
    data = b"\0" + len(message).to_bytes(4, "big") + message
    headers = (4).to_bytes(3, "big") + bytes((1, 4)) + (5).to_bytes(4, "big") + b"\x88\x88\x88\x88"
    frame = len(data).to_bytes(3, "big") + bytes((0, 0)) + (5).to_bytes(4, "big") + data
    sent = (headers + frame).decode("latin-1")
    socket = "9<TCPv6:[[::ffff:127.0.0.1]:7001->[::ffff:127.0.0.1]:50000]>"
    lines = [
        f'7 sendmsg({socket}, {{msg_iov=[{{iov_base="{_hex(part)}", iov_len=1}}]}}, 0) = {len(part)}'
        for part in (sent[:15], sent[15:])
    ]
    calls = list(strace.read(lines))
    assert answers_of(calls, {7001}) == [Answer(moment=2, revision=9, term=3, leader=2)]
    assert answers_of(calls, {7002}) == []
