"""The body of a response, read as it arrives: bounded in bytes, in silence and in slowness.

`requests` reads a body in blocks of a fixed size and waits until each is full, so that a peer that
sends one byte a second is waited for without an end. Here a block is whatever has arrived.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import requests
from urllib3 import exceptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("tap-amplitude.bodies")

_BLOCK_BYTES = 1024 * 1024
#: Slower than this, on average over one time-out, is no download: an hour of 4 GB, the most that
#: Amplitude sends, would take 45 days.
SLOWEST_BYTES_PER_SECOND = 1024
#: Whatever is still under way by then is not worth waiting for.
LONGEST_SECONDS = 24 * 3600.0
_SAY_SO_SECONDS = 60.0


class TooSlow(requests.ReadTimeout):
    """A body trickles in too slowly to ever end."""


class TooLong(requests.RequestException):
    """A body is larger than any valid response."""


def blocks(
    response: requests.Response,
    *,
    patience_seconds: float,
    what: str,
    most_bytes: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[bytes]:
    """Read a body, decompressed, as it arrives.

    Args:
        response: A response whose body was not read yet (`stream=True`).
        patience_seconds: In each stretch of so many seconds, `SLOWEST_BYTES_PER_SECOND` must
            arrive on average.
        what: What is read, for the log: a line a minute says how far it is.
        most_bytes: The bound of the decompressed body; None for none.
        clock: Tells seconds that never go back.

    Yields:
        The body's blocks, none of them empty, each of at most 1 MiB.

    Raises:
        TooSlow: It trickles in, or takes longer than a day.
        TooLong: It is longer than `most_bytes`.
        requests.RequestException: The connection broke, or the body is cut or cannot be
            decompressed.
    """
    begun = since = said_at = clock()
    arrived = size = 0
    while block := _next_block(response):
        size += len(block)
        arrived += len(block)
        if most_bytes is not None and size > most_bytes:
            raise TooLong(f"the answer is longer than {most_bytes:,} bytes")
        yield block
        now = clock()
        if now - said_at >= _SAY_SO_SECONDS:
            said_at = now
            logger.info("Still receiving %s: %.1f MB so far.", what, size / 1e6)
        if now - begun >= LONGEST_SECONDS:
            raise TooSlow(f"it took longer than {LONGEST_SECONDS / 3600:.0f} hours")
        if now - since >= patience_seconds:
            if arrived < SLOWEST_BYTES_PER_SECOND * (now - since):
                raise TooSlow(f"only {arrived:,} bytes arrived in {now - since:.0f} seconds")
            since, arrived = now, 0


def beginning(response: requests.Response, most_bytes: int, *, patience_seconds: float) -> bytes:
    """Read at most `most_bytes` of a body, decompressed, within `patience_seconds` in all.

    Returns:
        What arrived; less when the body breaks or trickles in.
    """
    found = b""
    deadline = time.monotonic() + patience_seconds
    try:
        while len(found) < most_bytes and (block := _next_block(response)):
            found += block
            if time.monotonic() > deadline:
                break
    except requests.RequestException:
        pass  # what came before it may say enough
    return found[:most_bytes]


def _next_block(response: requests.Response) -> bytes:
    """Read what has arrived, at most a block; the errors of urllib3 become those of requests."""
    try:
        return response.raw.read1(_BLOCK_BYTES, decode_content=True) or b""
    except exceptions.ReadTimeoutError as error:
        raise requests.ReadTimeout(error) from error
    except exceptions.DecodeError as error:
        raise requests.exceptions.ContentDecodingError(error) from error
    except (exceptions.HTTPError, OSError) as error:
        raise requests.ConnectionError(error) from error
