"""Ranges of a migration on Dagster, moved between the sandbox's stand-ins: `make scale`."""
