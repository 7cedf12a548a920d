"""Standard output of any coding: what it lacks is escaped, as JSON does it."""

from __future__ import annotations

import codecs
import json
import sys
from io import TextIOWrapper

_NAME = "escaped-as-in-json"


def escape_what_output_lacks() -> None:
    r"""Have standard output write what its coding lacks as `\u2192`; what is JSON stays JSON.

    Otherwise a check or a preview would end where a terminal or a file is not UTF-8.
    """
    codecs.register_error(_NAME, _escaped)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors=_NAME)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
