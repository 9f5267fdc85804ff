"""Where `kvctl` and `python -m kvctl` begin and end."""

from __future__ import annotations

import gc
import os
from typing import NoReturn

# Most commands are over before there is garbage worth looking for, and looking at all that is imported would
# be a fifth of their time.
gc.set_threshold(100_000)

from kvctl import signals, streams  # noqa: E402
from kvctl.root import kvctl  # noqa: E402


def main() -> NoReturn:
    """Runs the command line of the process."""
    streams.prepare()
    with signals.raised():
        code = _run()
    streams.flush()
    # Nothing is held any more: what the interpreter would take apart one by one, the kernel does at once.
    os._exit(code)


def _run() -> int:
    try:
        kvctl(prog_name="kvctl")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    return 0


if __name__ == "__main__":
    main()
