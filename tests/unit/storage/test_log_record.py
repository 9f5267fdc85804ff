"""Frames and contents: every byte has one meaning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kvraft.raft.types import Standing, Term
from kvraft.storage.interfaces import LogWrite
from kvraft.storage.log.contents import (
    MalformedContentsError,
    SegmentStart,
    decode_start,
    decode_write,
    encode_start,
    encode_write,
)
from kvraft.storage.log.record import (
    ALIGNMENT_BYTES,
    FIRST_CHAIN,
    HEADER_BYTES,
    Kind,
    count_zero_sectors,
    encode_record,
    intact_body,
    is_chained,
    parse_header,
)
from tests.unit.storage.log_samples import IDENTITY, entry, hard_state, snapshot

WRITES = [
    LogWrite(hard_state=hard_state(2**63, 2**64 - 1)),
    LogWrite(hard_state=replace(hard_state(3, 2), standing=Standing.DIVERGED), entries=(entry(7, 3),)),
    LogWrite(entries=(entry(7), entry(8, 2, b""), entry(9, 2, bytes(300)))),
    LogWrite(installed_snapshot=snapshot(5, 1), hard_state=hard_state(1), entries=(entry(6),)),
]
START = SegmentStart(
    identity=IDENTITY,
    segment_bytes=1 << 40,
    last_index=entry(9).index,
    last_term=Term(4),
    previous_chain=bytes(range(16)),
    hard_state=replace(hard_state(4, 1), standing=Standing.DIVERGED),
    installed_snapshot=snapshot(5, 1),
)


def test_the_format_is_what_it_always_was() -> None:
    """A golden record: if this fails, logs on disk can no longer be read."""
    contents = encode_write(LogWrite(hard_state=hard_state(3, 2), entries=(entry(4, 3, b"xyz"),)), Term(2))
    assert contents.hex(" ", -8) == (
        "0203000000000000 0002000000000000 0004000000000000 0002000000000000 0001000000030000 "
        "0000000000020300 000078797a"
    )
    record, chain = encode_record(Kind.WRITE, contents, sequence=9, previous_chain=FIRST_CHAIN, offset=64)
    assert record[:24].hex() == "4b56524c01020000" + "3500000000000000" + "0900000000000000"
    assert record[32:48] == chain
    assert chain.hex() == "28a97fa80eb024f470020c2d9bd3dbc4"
    assert record[48:55] == bytes(7)
    assert record[55:64].hex() == "602d14d4c7bbceaa" + "a5"
    assert record[64:] == contents + bytes(10) + b"\x5a"


@pytest.mark.parametrize("length", [0, 1, 62, 63, 64, 127, 5000])
def test_records_are_aligned_and_come_back(length: int) -> None:
    contents = bytes(range(256)) * (length // 256 + 1)
    record, chain = encode_record(
        Kind.WRITE, contents[:length], sequence=3, previous_chain=FIRST_CHAIN, offset=0
    )
    assert len(record) % ALIGNMENT_BYTES == 0
    assert len(record) < HEADER_BYTES + length + 1 + ALIGNMENT_BYTES
    data = memoryview(record)
    header = parse_header(data, 0)
    assert header is not None
    assert (header.kind, header.sequence, header.length_bytes, header.chain) == (2, 3, length, chain)
    assert header.size_bytes == len(record)
    body = intact_body(header, data, 0)
    assert body is not None
    assert body[:length] == contents[:length]
    assert is_chained(header, data, 0, FIRST_CHAIN)
    assert not is_chained(header, data, 0, chain)
    assert intact_body(header, data[:-64], 0) is None
    assert parse_header(data[:63], 0) is None


def test_zero_sectors_count_only_whole_aligned_ones() -> None:
    for offset, length, count in ((0, 511, 0), (0, 512, 1), (1, 1022, 0), (1, 1023, 1), (64, 2000, 3)):
        assert count_zero_sectors(bytes(length), offset) == count
    assert count_zero_sectors(bytes(512) + b"x" + bytes(511), 0) == 1


@pytest.mark.parametrize("write", WRITES)
def test_writes_come_back(write: LogWrite) -> None:
    assert decode_write(memoryview(encode_write(write, Term(5)))) == (write, 5)


def test_segment_starts_come_back() -> None:
    assert decode_start(memoryview(encode_start(START))) == START


@pytest.mark.parametrize(
    "contents", [encode_start(START), *(encode_write(write, Term(5)) for write in WRITES)]
)
def test_contents_of_another_length_are_malformed(contents: bytes) -> None:
    decode = decode_start if contents == encode_start(START) else decode_write
    for length in range(len(contents)):
        with pytest.raises(MalformedContentsError):
            decode(memoryview(contents[:length]))
    with pytest.raises(MalformedContentsError, match="1 bytes too many"):
        decode(memoryview(contents + b"\0"))


ONE_ENTRY = encode_write(LogWrite(entries=(entry(7),)), Term(1))
WITH_SNAPSHOT = encode_write(WRITES[3], Term(1))


@pytest.mark.parametrize(
    ("contents", "offset", "value", "message"),
    [
        (ONE_ENTRY, 0, 4, "unknown flags 0x4"),
        (ONE_ENTRY, 29, 9, "no entry is of kind 9"),
        (WITH_SNAPSHOT, 27, 3, "members must be sorted"),
        (encode_start(START), 58, 0xFF, "not UTF-8"),
    ],
)
def test_unknown_values_are_malformed(contents: bytes, offset: int, value: int, message: str) -> None:
    decode = decode_start if contents == encode_start(START) else decode_write
    decode(memoryview(contents))
    changed = contents[:offset] + bytes((value,)) + contents[offset + 1 :]
    with pytest.raises(MalformedContentsError, match=message):
        decode(memoryview(changed))
