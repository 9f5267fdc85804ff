"""Options of the test suite, and how its random tests are seeded.

Every random test is the same in every run: the profile `fixed` derives its examples from the test's own
code. `make nightly` chooses the profile `fresh` and a seed, which it prints; an example that fails there is
added to its test with `@example`.
"""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile(
    "fresh",
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("fixed")

# A shell starts what runs in the background with SIGINT ignored, and children inherit that; tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-scripts",
        action="store_true",
        help="record what the golden scripts print now; read the diff before you keep it",
    )
