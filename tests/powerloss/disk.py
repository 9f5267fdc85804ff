"""What a power cut may leave of what was written: a model of a disk under a file system.

Sources: Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014; ALICE), whose abstract
persistence model says which system calls may reach the disk apart and in another order; POSIX.1-2017, fsync,
fdatasync and "synchronized I/O data integrity completion" (3.384); Linux, pwritev2(2), RWF_DSYNC.

1. *Pages.* A write changes pages of 4096 bytes in the cache, and each page reaches the disk by itself, at
   any time after its write began, in any order, or never. What reaches it is the page as it was at some
   moment, so of several writes to one page a later one never comes without those before.
2. *Sectors.* The transfer of a page may be cut between any two sectors of 512 bytes, in any order; a sector
   is old or new, never a mixture.
3. *Sizes.* A new size of a file reaches the disk by itself. Bytes beyond the size that did are not there;
   bytes within it that did not are zero.
4. *Names.* Creating, renaming and removing names are atomic, each by itself. Those of one directory reach the
   disk in their order. Those of different ones: in their order too, as with the journal of ext4 or XFS, or
   independently of each other; both are tried.
5. *fsync, fdatasync* of a file: its pages and its size, as far as their writes had ended before it began,
   are on the disk when it ends. Its name is not: that takes an fsync of the directory, which does for names
   what the former does for pages. (ext4 gives more: any fsync commits its whole journal. Nobody should need
   that.)
6. *O_DSYNC, RWF_DSYNC:* the pages of this write and the size it needs are on the disk when it ends, others
   of the file are not.
7. What a system call does may be on the disk as soon as it has begun.

Not modelled: disks that lie about flushes, bytes that rot, metadata that was torn (journals have checksums),
stale blocks of other files showing up (data=writeback).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.powerloss.events import (
    ROOT,
    Answer,
    Event,
    Link,
    Name,
    Rename,
    Resize,
    Sync,
    Unlink,
    Write,
    WriteSync,
)

PAGE_BYTES = 4096
SECTOR_BYTES = 512
SECTORS = PAGE_BYTES // SECTOR_BYTES

Image = dict[str, bytes | None]
"""Path -> contents; None: a directory."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of a write that lies in one page."""

    moment: int
    ended: int
    offset: int
    """Within the page."""
    data: bytes


@dataclass(slots=True)
class File:
    """A file: what is durable, and what may be there on top of it."""

    content: bytearray = field(default_factory=bytearray)
    """The durable pages."""
    size: int = 0
    """The durable size."""
    pages: dict[int, list[Piece]] = field(default_factory=dict)
    """Of each page with changes that are not durable, these in their order."""
    sizes: list[tuple[int, int, int]] = field(default_factory=list)
    """(moment, ended, size) of each change of the size that is not durable."""

    @property
    def latest_size(self) -> int:
        return self.sizes[-1][2] if self.sizes else self.size

    def write(self, write: Write) -> None:
        position, end = write.offset, write.offset + len(write.data)
        if end > self.latest_size:
            self.sizes.append((write.moment, write.ended, end))
        while position < end:
            number, offset = divmod(position, PAGE_BYTES)
            length = min(PAGE_BYTES - offset, end - position)
            start = position - write.offset
            piece = Piece(write.moment, write.ended, offset, write.data[start : start + length])
            self.pages.setdefault(number, []).append(piece)
            position += length

    def resize(self, resize: Resize) -> None:
        cut = self.latest_size - resize.size
        if cut > 0:
            zeros = bytes(cut)
            self.write(
                Write(
                    moment=resize.moment,
                    ended=resize.ended,
                    file=resize.file,
                    offset=resize.size,
                    data=zeros,
                )
            )
        if cut:
            self.sizes.append((resize.moment, resize.ended, resize.size))

    def sync(self, began: int) -> None:
        """Everything that had ended before `began` is durable."""
        for number in list(self.pages):
            covered = _covered([piece.ended for piece in self.pages[number]], began)
            self._settle_page(number, covered)
        self._settle_size(_covered([ended for _, ended, _ in self.sizes], began))

    def sync_write(self, moment: int) -> None:
        """The write of this moment is durable."""
        for number, pieces in list(self.pages.items()):
            if any(piece.moment == moment for piece in pieces):
                self._settle_page(number, sum(piece.moment <= moment for piece in pieces))
        self._settle_size(sum(each[0] <= moment for each in self.sizes))

    def page(self, number: int, version: int) -> bytes:
        """The page after its first `version` changes that are not durable."""
        start = number * PAGE_BYTES
        page = self.content[start : start + PAGE_BYTES]
        page.extend(bytes(PAGE_BYTES - len(page)))
        for piece in self.pages.get(number, ())[:version]:
            page[piece.offset : piece.offset + len(piece.data)] = piece.data
        return bytes(page)

    def _settle_page(self, number: int, count: int) -> None:
        start = number * PAGE_BYTES
        page = self.page(number, count)
        self.content.extend(bytes(max(0, start - len(self.content))))
        self.content[start : start + PAGE_BYTES] = page
        del self.pages[number][:count]
        if not self.pages[number]:
            del self.pages[number]

    def _settle_size(self, count: int) -> None:
        if count:
            self.size = self.sizes[count - 1][2]
            del self.sizes[:count]


@dataclass(slots=True)
class Directory:
    """A directory: the durable names, and the changes that may have happened to them."""

    names: dict[str, int] = field(default_factory=dict)
    changes: list[Name] = field(default_factory=list)

    def after(self, count: int) -> dict[str, int]:
        """The names after the first `count` changes."""
        names = dict(self.names)
        for change in self.changes[:count]:
            match change:
                case Link():
                    names[change.name] = change.inode
                case Unlink():
                    del names[change.name]
                case Rename():
                    names[change.new] = names.pop(change.old)
        return names


@dataclass(frozen=True, slots=True)
class TornPage:
    """A page of which some sectors are of one version, the others of another."""

    old: int
    new: int
    new_sectors: int
    """Bit i: sector i is the new one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which of the possible disks it is; what is not mentioned is as it is durable."""

    pages: Mapping[tuple[int, int], int | TornPage] = field(default_factory=dict)
    """(file, number of the page) -> how many of its changes are there."""
    sizes: Mapping[int, int] = field(default_factory=dict)
    """File -> how many changes of its size."""
    names: Mapping[int, int] = field(default_factory=dict)
    """Directory -> how many changes of its names."""


class Disk:
    """All the disks that a power cut could leave at one moment."""

    def __init__(self) -> None:
        self.files: defaultdict[int, File] = defaultdict(File)
        self.directories: defaultdict[int, Directory] = defaultdict(Directory, {ROOT: Directory()})
        self._durable_names_until = -1

    def take(self, event: Event) -> None:
        """The next event."""
        match event:
            case Write():
                self.files[event.file].write(event)
            case Resize():
                self.files[event.file].resize(event)
            case Link():
                self.directories[event.directory].changes.append(event)
                if event.is_directory:
                    self.directories[event.inode] = Directory()
            case Unlink() | Rename():
                self.directories[event.directory].changes.append(event)
            case WriteSync():
                self.files[event.file].sync_write(event.written)
            case Sync() if event.inode in self.directories:
                self._sync_directory(self.directories[event.inode], event.began)
            case Sync():
                self.files[event.inode].sync(event.began)
            case Answer():
                pass

    def reachable(self) -> tuple[set[int], set[int]]:
        """The files and the directories that one of the possible disks has a name for."""
        files: set[int] = set()
        directories: set[int] = set()
        waiting = {ROOT}
        while waiting:
            number = waiting.pop()
            directories.add(number)
            directory = self.directories[number]
            linked = {change.inode for change in directory.changes if isinstance(change, Link)}
            for inode in linked | set(directory.names.values()):
                if inode not in self.directories:
                    files.add(inode)
                elif inode not in directories:
                    waiting.add(inode)
        return files, directories

    def names_in_order(self, directories: Iterable[int]) -> list[Mapping[int, int]]:
        """Every choice of names that keeps the order across directories: first the least that is durable."""
        changes = sorted(
            (change.moment, number) for number in directories for change in self.directories[number].changes
        )
        counts = dict.fromkeys((number for _, number in changes), 0)
        choices: list[Mapping[int, int]] = []
        for moment, number in changes:
            if moment > self._durable_names_until:
                choices.append(dict(counts))
            counts[number] += 1
        return [*choices, counts]

    def image(self, chosen: Chosen) -> Image:
        """One of the possible disks."""
        image: Image = {}
        waiting = [("", ROOT)]
        while waiting:
            prefix, number = waiting.pop()
            for name, inode in self.directories[number].after(chosen.names.get(number, 0)).items():
                path = prefix + name
                if inode in self.directories:
                    image[path] = None
                    waiting.append((f"{path}/", inode))
                else:
                    image[path] = self._contents(inode, chosen)
        return image

    def _contents(self, inode: int, chosen: Chosen) -> bytes:
        file = self.files[inode]
        count = chosen.sizes.get(inode, 0)
        size = file.sizes[count - 1][2] if count else file.size
        contents = file.content[:size]
        contents.extend(bytes(size - len(contents)))
        for number in file.pages:
            version = chosen.pages.get((inode, number), 0)
            start = number * PAGE_BYTES
            if version and start < size:
                page = (
                    _torn(file, number, version)
                    if isinstance(version, TornPage)
                    else file.page(number, version)
                )
                contents[start : start + PAGE_BYTES] = page[: size - start]
        return bytes(contents)

    def _sync_directory(self, directory: Directory, began: int) -> None:
        count = _covered([change.ended for change in directory.changes], began)
        if count:
            directory.names = directory.after(count)
            self._durable_names_until = max(self._durable_names_until, directory.changes[count - 1].moment)
            del directory.changes[:count]


def _covered(ends: list[int], began: int) -> int:
    """How many of the first calls had ended when a sync began."""
    return next((count for count, ended in enumerate(ends) if ended > began), len(ends))


def _torn(file: File, number: int, torn: TornPage) -> bytes:
    old, new = file.page(number, torn.old), file.page(number, torn.new)
    return b"".join(
        (new if torn.new_sectors >> sector & 1 else old)[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES]
        for sector in range(SECTORS)
    )
