"""Which watches want the changes of a key.

A watch is for one key, or for a range. Single keys lie in a dictionary, so that a write that nobody watches
costs one look-up, however many of them there are. Ranges lie in a treap (Seidel and Aragon, 1996): a tree
ordered by their bounds, in which each node also knows the greatest end below it, so that the k ranges
around a key are found among n in O(k log n) at most. Its priorities are Python's hash of the bounds, of which
nobody outside of the process knows the key: no client can make the tree deep on purpose. What is found comes
in an order that does not depend on them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

WatchT = TypeVar("WatchT")

Bounds = tuple[bytes, bytes]
"""The row keys from `start` up to and without `end`. An end is never empty: the last is that of a space."""


class WatchedKeys(Generic[WatchT]):
    """Watches by their keys. A watch may be added with several bounds that do not overlap, each of which
    counts, and is removed with the same ones."""

    __slots__ = ("_ranges", "_root", "_singles", "count")

    def __init__(self) -> None:
        self._singles: dict[bytes, dict[WatchT, None]] = {}
        self._ranges: dict[Bounds, _Node[WatchT]] = {}
        self._root: _Node[WatchT] | None = None
        self.count = 0

    def add(self, bounds: Bounds, watch: WatchT) -> None:
        self.count += 1
        key = single_key(bounds)
        if key is not None:
            self._singles.setdefault(key, {})[watch] = None
            return
        node = self._ranges.get(bounds)
        if node is None:
            node = self._ranges[bounds] = _Node(bounds)
            self._root = _inserted(self._root, node)
        node.watches[watch] = None

    def remove(self, bounds: Bounds, watch: WatchT) -> None:
        self.count -= 1
        key = single_key(bounds)
        if key is not None:
            watches = self._singles[key]
            del watches[watch]
            if not watches:
                del self._singles[key]
            return
        node = self._ranges[bounds]
        del node.watches[watch]
        if not node.watches:
            del self._ranges[bounds]
            self._root = _removed(self._root, node)

    def of(self, key: bytes) -> Iterable[WatchT]:
        """The watches that want this key, each once: those of the key alone, then those of ranges in the
        order of their bounds, equal ones as they were added."""
        singles = self._singles.get(key, ())
        if self._root is None:
            return singles
        found = list(singles)
        _collect(self._root, key, found)
        return found

    def all(self) -> list[WatchT]:
        """Every watch, each once."""
        found: dict[WatchT, None] = {}
        for watches in self._singles.values():
            found.update(watches)
        for node in self._ranges.values():
            found.update(node.watches)
        return list(found)


def single_key(bounds: Bounds) -> bytes | None:
    """The one key a range holds, if it is one."""
    start, end = bounds
    return start if end == start + b"\0" else None


class _Node(Generic[WatchT]):
    """A range. Its priority is at least that of every node below it."""

    __slots__ = ("bounds", "end_max", "left", "priority", "right", "watches")

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.priority = hash(bounds)
        self.end_max = bounds[1]
        self.left: _Node[WatchT] | None = None
        self.right: _Node[WatchT] | None = None
        self.watches: dict[WatchT, None] = {}

    def measure(self) -> None:
        self.end_max = self.bounds[1]
        for child in (self.left, self.right):
            if child is not None and self.end_max < child.end_max:
                self.end_max = child.end_max


def _collect(node: _Node[WatchT], key: bytes, found: list[WatchT]) -> None:
    left, right = node.left, node.right
    if left is not None and key < left.end_max:
        _collect(left, key, found)
    start, end = node.bounds
    if start <= key:
        if key < end:
            found += node.watches
        if right is not None and key < right.end_max:
            _collect(right, key, found)


def _inserted(root: _Node[WatchT] | None, node: _Node[WatchT]) -> _Node[WatchT]:
    if root is None:
        return node
    if root.priority < node.priority:
        node.left, node.right = _split(root, node.bounds)
        node.measure()
        return node
    if node.bounds < root.bounds:
        root.left = _inserted(root.left, node)
    else:
        root.right = _inserted(root.right, node)
    root.measure()
    return root


def _removed(root: _Node[WatchT] | None, node: _Node[WatchT]) -> _Node[WatchT] | None:
    assert root is not None, "the range is not in the tree"
    if root is node:
        return _joined(node.left, node.right)
    if node.bounds < root.bounds:
        root.left = _removed(root.left, node)
    else:
        root.right = _removed(root.right, node)
    root.measure()
    return root


def _split(root: _Node[WatchT] | None, bounds: Bounds) -> tuple[_Node[WatchT] | None, _Node[WatchT] | None]:
    """The nodes before and behind `bounds`."""
    if root is None:
        return None, None
    if root.bounds < bounds:
        root.right, behind = _split(root.right, bounds)
        root.measure()
        return root, behind
    before, root.left = _split(root.left, bounds)
    root.measure()
    return before, root


def _joined(before: _Node[WatchT] | None, behind: _Node[WatchT] | None) -> _Node[WatchT] | None:
    if before is None or behind is None:
        return behind if before is None else before
    if before.priority >= behind.priority:
        before.right = _joined(before.right, behind)
        before.measure()
        return before
    behind.left = _joined(before, behind.left)
    behind.measure()
    return behind
