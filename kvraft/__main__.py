"""The `kvraft` command: what must stand before anything that takes long to import, then `kvraft.commands`."""

from __future__ import annotations

import sys

from kvraft import signals


def main() -> None:
    """Runs the command line, and ends with its exit code."""
    signals.handle()
    from kvraft.log_output import open_standard_streams

    open_standard_streams()
    from kvraft.commands import run

    sys.exit(run())


if __name__ == "__main__":
    main()
