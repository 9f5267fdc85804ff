"""Where `kvctl` and `python -m kvctl` begin."""

from __future__ import annotations

from kvctl import signals, streams
from kvctl.root import kvctl


def main() -> None:
    streams.prepare()
    signals.prepare()
    kvctl(prog_name="kvctl")


if __name__ == "__main__":
    main()
