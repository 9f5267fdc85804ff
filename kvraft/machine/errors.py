"""Why a log cannot be applied."""

from __future__ import annotations


class UnknownCommandError(Exception):
    """The log holds what this version does not understand: a newer format, or damage. The node
    must stop rather than skip it; run a version that knows it."""
