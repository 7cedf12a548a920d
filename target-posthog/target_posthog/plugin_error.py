"""The base of all errors that a plugin expects: what happened, what is saved, what to do next."""

from __future__ import annotations


class PluginError(Exception):
    """A failure that the user can do something about.

    Args:
        happened: What happened, in a sentence, without secrets and record contents.
        remedy: What to do next, in a sentence.

    Attributes:
        saved: What is safe, in a sentence; empty where nothing was at stake.
    """

    exit_code: int = 1
    saved: str = ""

    def __init__(self, happened: str, remedy: str) -> None:
        super().__init__(happened, remedy)
        self.happened = happened
        self.remedy = remedy

    def __str__(self) -> str:
        """Say everything in one line."""
        return " ".join(filter(None, (self.happened, self.saved, self.remedy)))
