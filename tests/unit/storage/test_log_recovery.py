"""A torn tail is cut off and told; every other change of a stored byte is corruption."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from kvraft.raft.types import Index
from kvraft.storage.errors import CorruptionError, StorageError
from kvraft.storage.interfaces import Identity, LogWrite
from kvraft.storage.log import SegmentedLog, record
from kvraft.storage.log.record import HEADER_BYTES, SECTOR_BYTES
from kvraft.storage.log.recovery import recover
from tests.unit.storage.log_samples import (
    SEGMENT_BYTES,
    all_entries,
    create,
    entry,
    hard_state,
    segments,
    snapshot,
    write,
)

NOISE = random.Random(1).randbytes(1500)


def used(raw: bytes) -> int:
    return -(-len(raw.rstrip(b"\0")) // 64) * 64


def small_log(directory: Path, *last_writes: LogWrite) -> tuple[Path, bytes, int]:
    """The one segment of a log of some writes, its bytes, and where its last record begins."""
    log = create(directory)
    log.append(LogWrite(hard_state=hard_state(1, 2)))
    log.append(write(1, 3))
    before = used(segments(directory)[0].read_bytes())
    for last_write in last_writes:
        before = used(segments(directory)[0].read_bytes())
        log.append(last_write)
    log.close()
    (path,) = segments(directory)
    return path, path.read_bytes(), before


def replace(raw: bytes, offset: int, new: bytes) -> bytes:
    return raw[:offset] + new + raw[offset + len(new) :]


def test_a_tail_torn_at_any_byte_is_cut_and_told(tmp_path: Path) -> None:
    path, raw, start = small_log(tmp_path, write(4, 4, data=NOISE))
    end = used(raw)
    assert end - start > 3 * SECTOR_BYTES
    for cut in range(start + 1, end):
        torn = raw[:cut] + bytes(SEGMENT_BYTES - cut)
        path.write_bytes(torn)
        recovery = recover(tmp_path)
        assert recovery.held.last_index == 3
        assert recovery.end_offset == start
        assert recovery.torn_bytes == len(torn.rstrip(b"\0")) - start > 0
    path.write_bytes(raw[:start] + bytes(SEGMENT_BYTES - start))
    assert recover(tmp_path).torn_bytes == 0


def test_a_torn_tail_is_zeros_after_opening_and_the_log_goes_on(tmp_path: Path) -> None:
    path, raw, start = small_log(tmp_path, write(4, 4, data=NOISE))
    path.write_bytes(raw[: start + 700] + bytes(SEGMENT_BYTES - start - 700))
    log = SegmentedLog.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    assert log.recovered.torn_bytes == 700
    assert log.recovered.last_index == 3
    assert path.read_bytes() == raw[:start] + bytes(SEGMENT_BYTES - start)
    log.append(write(4, 4))
    log.close()
    log = SegmentedLog.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    assert log.recovered.torn_bytes == 0
    assert all_entries(log, 1, 4) == [entry(1), entry(2), entry(3), entry(4)]
    log.close()


@pytest.mark.parametrize("hole", [0, 900])
def test_a_write_of_which_any_sectors_are_missing_is_torn(tmp_path: Path, hole: int) -> None:
    """A disk may write the sectors of one write in any order. Sectors that were zero by themselves,
    in the middle of the data, make no difference."""
    data = NOISE[:400] + bytes(hole) + NOISE[400:]
    path, raw, start = small_log(tmp_path, write(4, 4, data=data))
    end = used(raw)
    bounds = [start, *range(start - start % SECTOR_BYTES + SECTOR_BYTES, end, SECTOR_BYTES), end]
    sectors = list(itertools.pairwise(bounds))
    for missing in itertools.product((False, True), repeat=len(sectors)):
        torn = raw
        for (first, after), is_missing in zip(sectors, missing, strict=True):
            if is_missing:
                torn = replace(torn, first, bytes(after - first))
        path.write_bytes(torn)
        recovery = recover(tmp_path)
        assert recovery.held.last_index == (4 if torn == raw else 3)
        assert (recovery.torn_bytes > 0) == (torn != raw and torn[start:].rstrip(b"\0") != b"")


@pytest.mark.parametrize(
    ("data", "bits"), [(b"small", range(8)), (bytes(1100), range(3, 4))], ids=["small", "zeros"]
)
def test_every_flipped_bit_is_corruption(tmp_path: Path, data: bytes, bits: range) -> None:
    """Also next to sectors that are zero by themselves, which are no sign of a torn write."""
    log = create(tmp_path)
    log.append(LogWrite(hard_state=hard_state(1, 2), entries=write(1, 3).entries))
    log.append(LogWrite(installed_snapshot=snapshot(8, 1)))
    log.append(write(9, 9))
    log.append(write(10, 10, data=data))
    log.close()
    (path,) = segments(tmp_path)
    raw = path.read_bytes()
    for offset in range(used(raw)):
        for bit in bits:
            path.write_bytes(replace(raw, offset, bytes((raw[offset] ^ 1 << bit,))))
            with pytest.raises(CorruptionError, match=r"0003\.log, offset \d+"):
                recover(tmp_path)


def test_a_flipped_bit_after_the_last_record_loses_nothing(tmp_path: Path) -> None:
    path, raw, _ = small_log(tmp_path)
    end = used(raw)
    for offset in range(end, end + 700):
        path.write_bytes(replace(raw, offset, b"\x40"))
        try:
            recovery = recover(tmp_path)
        except CorruptionError:
            assert offset == end + HEADER_BYTES - 1  # looks like the end of a header
        else:
            assert (recovery.held.last_index, recovery.torn_bytes) == (3, offset + 1 - end)


def test_only_two_bytes_of_the_last_record_could_become_zero_unnoticed(tmp_path: Path) -> None:
    """As the module says: exactly these look like a write that did not get there."""
    path, raw, start = small_log(tmp_path, write(4, 4))
    end = used(raw)
    cut_at = []
    for offset in range(end):
        for changed in {0, raw[offset] ^ 0xFF} - {raw[offset]}:
            path.write_bytes(replace(raw, offset, bytes((changed,))))
            try:
                recovery = recover(tmp_path)
            except CorruptionError:
                continue
            assert recovery.torn_bytes > 0
            assert recovery.held.last_index == 3
            cut_at.append((offset, changed))
    assert cut_at == [(start + HEADER_BYTES - 1, 0), (end - 1, 0)]


def test_a_record_lost_before_others_is_corruption(tmp_path: Path) -> None:
    path, raw, start = small_log(tmp_path, write(4, 4, data=NOISE), write(5, 5), write(6, 6))
    starts = [offset for offset in range(0, used(raw), 64) if raw[offset : offset + 4] == record.MAGIC]
    assert starts[-1] == start
    for first, after in itertools.pairwise(starts):
        path.write_bytes(replace(raw, first, bytes(after - first)))
        with pytest.raises(CorruptionError, match="broken"):
            recover(tmp_path)


def test_bytes_after_an_unfinished_record_are_corruption(tmp_path: Path) -> None:
    path, raw, _ = small_log(tmp_path, write(4, 4))
    end = used(raw)
    path.write_bytes(replace(replace(raw, end - 1, b"\0"), end + 640, b"x"))
    with pytest.raises(CorruptionError, match="something was written after it"):
        recover(tmp_path)


def two_logs(tmp_path: Path) -> tuple[Path, Path]:
    """Two logs of one identity and the same shape, whose first entries differ."""
    for name in ("a", "b"):
        log = create(tmp_path / name)
        log.append(write(1, 1, data=name.encode()))
        for index in range(2, 100):
            log.append(write(index, index))
        log.close()
    return tmp_path / "a", tmp_path / "b"


def test_a_record_of_another_history_breaks_the_chain(tmp_path: Path) -> None:
    ours, theirs = two_logs(tmp_path)
    path, raw = segments(ours)[0], segments(ours)[0].read_bytes()
    foreign = segments(theirs)[0].read_bytes()
    at = raw.index(b"entry 2") // 64 * 64 - 64
    assert raw[at : at + 4] == foreign[at : at + 4] == record.MAGIC
    path.write_bytes(replace(raw, at, foreign[at : at + 128]))
    with pytest.raises(CorruptionError, match="is whole, but is not record 3 of this log"):
        recover(ours)


def test_a_segment_of_another_history_breaks_the_chain(tmp_path: Path) -> None:
    ours, theirs = two_logs(tmp_path)
    segments(ours)[1].write_bytes(segments(theirs)[1].read_bytes())
    with pytest.raises(CorruptionError, match="does not follow the segment before it"):
        recover(ours)


def test_a_segment_of_another_node_is_corruption(tmp_path: Path) -> None:
    ours, _ = two_logs(tmp_path)
    other = Identity(cluster_id=5, cluster_name="other", node_id=9, initial_voters=(9,))
    log = SegmentedLog.create(tmp_path / "c", other, segment_bytes=SEGMENT_BYTES)
    log.append(write(1, 1, data=b"a"))
    for index in range(2, 60):
        log.append(write(index, index))
    log.close()
    assert segments(ours)[1].name == segments(tmp_path / "c")[1].name
    segments(ours)[1].write_bytes(segments(tmp_path / "c")[1].read_bytes())
    with pytest.raises(CorruptionError, match="does not follow"):
        recover(ours)


def remove_second(paths: list[Path]) -> None:
    paths[1].unlink()


def exchange(paths: list[Path]) -> None:
    first, second = paths[0].read_bytes(), paths[1].read_bytes()
    paths[0].write_bytes(second)
    paths[1].write_bytes(first)


def zero_last(paths: list[Path]) -> None:
    paths[-1].write_bytes(bytes(SEGMENT_BYTES))


def empty_last(paths: list[Path]) -> None:
    paths[-1].write_bytes(b"")


def cut_last(paths: list[Path]) -> None:
    raw = paths[-1].read_bytes()
    paths[-1].write_bytes(raw[: used(raw)])


def write_into_the_unused_end_of_the_first(paths: list[Path]) -> None:
    raw = paths[0].read_bytes()
    paths[0].write_bytes(raw[:-1] + b"x")


def lose_the_last_record_of_the_first(paths: list[Path]) -> None:
    raw = paths[0].read_bytes()
    start = max(offset for offset in range(0, SEGMENT_BYTES, 64) if raw[offset : offset + 4] == record.MAGIC)
    paths[0].write_bytes(raw[:start] + bytes(SEGMENT_BYTES - start))


def tear_the_last_record_of_the_first(paths: list[Path]) -> None:
    raw = paths[0].read_bytes()
    paths[0].write_bytes(raw[: used(raw) - 1] + bytes(SEGMENT_BYTES - used(raw) + 1))


@pytest.mark.parametrize(
    "damage",
    [
        remove_second,
        exchange,
        zero_last,
        empty_last,
        cut_last,
        write_into_the_unused_end_of_the_first,
        lose_the_last_record_of_the_first,
        tear_the_last_record_of_the_first,
    ],
    ids=lambda damage: damage.__name__,
)
def test_damaged_files_are_corruption(tmp_path: Path, damage: Callable[[list[Path]], None]) -> None:
    directory, _ = two_logs(tmp_path)
    damage(segments(directory))
    with pytest.raises(CorruptionError, match="re-seed"):
        SegmentedLog.open(directory, segment_bytes=SEGMENT_BYTES)


def test_the_message_says_where_and_what_to_do(tmp_path: Path) -> None:
    path, raw, start = small_log(tmp_path, write(4, 4))
    path.write_bytes(replace(raw, start + 70, b"\xff"))
    with pytest.raises(CorruptionError) as caught:
        recover(tmp_path)
    message = str(caught.value)
    for part in (str(path), f"offset {start}", "record 4 is broken", "up to entry 3", "Nothing was changed"):
        assert part in message
    assert path.read_bytes() == replace(raw, start + 70, b"\xff")


def test_a_record_of_a_newer_format_is_refused_and_not_called_corrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = create(tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(record, "FORMAT_VERSION", 2)
        log.append(write(1, 1))
        with pytest.raises(StorageError, match="format 2"):
            create(tmp_path / "b")
    log.close()
    with pytest.raises(StorageError, match="format 2") as caught:
        recover(tmp_path / "a")
    assert not isinstance(caught.value, CorruptionError)


def test_leftovers_of_a_crash_are_removed_and_strange_files_left_alone(tmp_path: Path) -> None:
    log = create(tmp_path)
    log.append(write(1, 2))
    log.close()
    strange = ["0000000000000001.log.bak", "1.log", "notes.log", "NOTES"]
    for name in [*strange, "spare.tmp", "next.tmp"]:
        (tmp_path / name).write_bytes(segments(tmp_path)[0].read_bytes())
    log = SegmentedLog.open(tmp_path, segment_bytes=SEGMENT_BYTES)
    assert all_entries(log, 1, 2) == [entry(1), entry(2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*strange, "0000000000000001.log"])
    log.close()


def test_a_value_that_is_itself_a_log_is_only_a_value(tmp_path: Path) -> None:
    """A client may store the bytes of a segment; torn, they are not taken for later records."""
    _, stored, _ = small_log(tmp_path / "a", write(4, 4))
    log = create(tmp_path / "b")
    for index in range(1, 6):
        log.append(write(index, index))
    start = used(segments(tmp_path / "b")[0].read_bytes())
    log.append(write(6, 6, data=bytes(30) + stored[: used(stored)]))
    log.close()
    (path,) = segments(tmp_path / "b")
    raw = path.read_bytes()
    inner = raw.index(record.MAGIC, start + 4)
    assert inner % 64 == 0
    path.write_bytes(replace(raw, start, bytes(HEADER_BYTES)))
    recovery = recover(tmp_path / "b")
    assert recovery.held.last_index == Index(5)
    assert recovery.torn_bytes > 0
