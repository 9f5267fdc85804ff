"""python -m tests.powerloss    see `tests.powerloss.long_form`"""

from __future__ import annotations

import sys

from tests.powerloss.long_form import main

if __name__ == "__main__":  # not in the processes that it starts
    sys.exit(main())
