"""Where `kvctl` and `python -m kvctl` begin."""

from __future__ import annotations

import io
import sys

from kvctl.root import kvctl


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Keys and JSON are UTF-8 wherever kvctl runs, not only where the locale is.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    kvctl(prog_name="kvctl")


if __name__ == "__main__":
    main()
