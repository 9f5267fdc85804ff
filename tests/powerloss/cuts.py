"""Which of the possible disks of a moment are tried: nothing beyond what is durable, everything, all of them
where they are few, else seeded random ones; and some with a torn page each."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod

from tests.powerloss.disk import SECTORS, Chosen, Disk, TornPage

_LIKELIHOODS = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many disks are tried at each moment."""

    few: int
    """So many possible ones, torn pages apart, are all tried: 64 are six changes in any combination."""
    random: int
    """Else so many random ones."""
    torn: int
    """And so many with a torn page each."""


QUICK = Effort(few=8, random=2, torn=1)
THOROUGH = Effort(few=64, random=40, torn=16)


@dataclass(frozen=True, slots=True)
class Cut:
    """One of the possible disks, and what kind of loss it is."""

    kind: str
    chosen: Chosen


class Cuts:
    """The possible disks of one moment."""

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        files, directories = disk.reachable()
        self._chance = chance
        self._pages: dict[int, dict[int, int]] = {
            inode: {number: len(pieces) for number, pieces in disk.files[inode].pages.items()}
            for inode in sorted(files)
            if disk.files[inode].pages
        }
        """File -> page -> its changes that are not durable."""
        self._sizes = {
            inode: len(disk.files[inode].sizes) for inode in sorted(files) if disk.files[inode].sizes
        }
        self._names = {
            number: len(disk.directories[number].changes)
            for number in sorted(directories)
            if disk.directories[number].changes
        }
        self._names_in_order = disk.names_in_order(sorted(directories))
        self._page_counts = {
            (inode, number): count for inode, pages in self._pages.items() for number, count in pages.items()
        }

    @property
    def possible(self) -> int:
        """How many disks there are, torn pages apart."""
        return prod(count + 1 for count in self._counts())

    def chosen(self, effort: Effort) -> Iterator[Cut]:
        """Those to try."""
        yield Cut("nothing unsynced", Chosen(names=self._names_in_order[0]))
        if self.possible > 1:
            yield Cut(
                "everything unsynced",
                Chosen(pages=self._page_counts, sizes=self._sizes, names=self._names),
            )
            if self.possible <= effort.few:
                yield from map(self._described, self._every())
            else:
                for _ in range(effort.random):
                    yield self._described(self._random())
        if self._pages:
            for _ in range(effort.torn):
                yield self._torn()

    def _counts(self) -> list[int]:
        return [*self._page_counts.values(), *self._sizes.values(), *self._names.values()]

    def _every(self) -> Iterator[Chosen]:
        for versions in product(*(range(count + 1) for count in self._counts())):
            rest = iter(versions)
            yield Chosen(
                pages={key: next(rest) for key in self._page_counts},
                sizes={key: next(rest) for key in self._sizes},
                names={key: next(rest) for key in self._names},
            )

    def _random(self) -> Chosen:
        chance = self._chance
        pages: dict[tuple[int, int], int | TornPage] = {}
        for inode, counts in self._pages.items():
            # A file that is hardly or almost wholly written is likelier to be told wrong than one at random.
            likelihood = chance.choice(_LIKELIHOODS)
            for number, count in counts.items():
                pages[inode, number] = chance.randint(1, count) if chance.random() < likelihood else 0
        return Chosen(
            pages=pages,
            sizes={inode: chance.randint(0, count) for inode, count in self._sizes.items()},
            names=chance.choice(self._names_in_order)
            if chance.random() < 0.5
            else {number: chance.randint(0, count) for number, count in self._names.items()},
        )

    def _torn(self) -> Cut:
        chance = self._chance
        chosen = self._random()
        inode = chance.choice(list(self._pages))
        number = chance.choice(list(self._pages[inode]))
        old, new = sorted(chance.sample(range(self._pages[inode][number] + 1), 2))
        some = chance.randint(1, (1 << SECTORS) - 2)
        # A transfer that simply stopped is the likeliest of all.
        first = (1 << chance.randint(1, SECTORS - 1)) - 1
        torn = TornPage(old, new, chance.choice((some, first)))
        sizes = dict(chosen.sizes)
        if inode in self._sizes and chance.random() < 0.8:
            sizes[inode] = self._sizes[inode]
        return Cut(
            "torn page",
            Chosen(pages={**chosen.pages, (inode, number): torn}, sizes=sizes, names=chosen.names),
        )

    def _described(self, chosen: Chosen) -> Cut:
        """The kind names what is missing."""
        missing = []
        if any(chosen.pages[key] != count for key, count in self._page_counts.items()):
            missing.append("page")
        if any(chosen.sizes[key] != count for key, count in self._sizes.items()):
            missing.append("size")
        if any(chosen.names.get(key, 0) != count for key, count in self._names.items()):
            missing.append("name")
        return Cut(f"missing {', '.join(missing)}" if missing else "everything unsynced", chosen)
