"""Other stores, started on this machine for comparison where their binaries are installed."""
