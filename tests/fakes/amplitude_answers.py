"""What the Export API says: every status and body that it can answer with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tests.fakes import local_server

if TYPE_CHECKING:
    from datetime import datetime

ZIP = "application/zip"
JSON = "application/json"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"

# Observed: the live service's text, which four independent clients match on.
NO_DATA_TEXT = "Raw data files were not found."
# Amplitude docs, Export API, "Status codes", 400. The body itself was never published.
TOO_LARGE_TEXT = (
    "The file size of the exported data is too large."
    " Shorten the time ranges and try again. The limit size is 4GB."
)


@dataclass(frozen=True)
class Answer(local_server.Answer):
    """One answer of Amplitude.

    Attributes:
        hours: The hours that the reader holds once it has the whole body.
        from_archive: Whether the body is an export archive, sound or damaged.
    """

    content_type: str = JSON
    hours: frozenset[datetime] = frozenset()
    from_archive: bool = False


def envelope(status: int, kind: str, message: str, details: str) -> Answer:
    """Return an error in the JSON envelope that all of Amplitude's REST endpoints share."""
    error = {
        "http_code": status,
        "type": kind,
        "message": message,
        "metadata": {"details": details},
    }
    return Answer(status, json.dumps({"error": error}).encode())


def page(status: int, text: str) -> Answer:
    """Return an HTML page, as something in front of the service would send it."""
    body = f"<html><head><title>{text}</title></head><body><h1>{text}</h1></body></html>"
    return Answer(status, body.encode(), HTML)


def no_credentials() -> Answer:
    """401. Observed on the US and the EU host without credentials; no body was recorded."""
    # RFC 9110, 11.6.1: a 401 has to name a scheme.
    return Answer(401, b"", TEXT, {"WWW-Authenticate": 'Basic realm="Amplitude"'})


def wrong_keys() -> Answer:
    """403. Observed: this body, for a wrong key, a wrong secret, and the other region's keys."""
    return envelope(403, "unspecified", "Unspecified Error", "Invalid API Key")


def no_data(form: Literal["plain", "json"]) -> Answer:
    """404 for a range without one event.

    Amplitude docs, Export API: 404 if there is no data. Observed: the text. Its wrapping was
    not recorded, so a reader has to know it plain and in the envelope (whose type and message
    are a guess); it gets both by turns.
    """
    if form == "plain":
        return Answer(404, NO_DATA_TEXT.encode(), TEXT)
    return envelope(404, "not_found", "Not Found", NO_DATA_TEXT)


def odd_not_found() -> Answer:
    """404 that does not mean "no data": a page. Observed by BemiDB (commit 5b268cb, 2025)."""
    return page(404, "404: Not Found")


def too_large(text: str = TOO_LARGE_TEXT, form: Literal["json", "plain"] = "json") -> Answer:
    """400 for more than the size limit. The real body is not known; `text` stands for it."""
    if form == "plain":
        return Answer(400, text.encode(), TEXT)
    return envelope(400, "invalid", "Invalid request", text)


def bad_range(details: str) -> Answer:
    """400 for `start` and `end` that are no range. The real body is not known."""
    return envelope(400, "invalid", "Invalid request", details)


def too_many_requests(retry_after: str | None) -> Answer:
    """429. Amplitude docs, Dashboard REST API: at most 5 requests at once for a project.

    Observed: the details, on the Dashboard API. Of the Export API only the status is
    reported, and nobody recorded whether it sends Retry-After.
    """
    details = "Exceeded concurrent limit with query of cost 415"
    answer = envelope(429, "too_many_requests", "Too Many Requests", details)
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Answer(429, answer.body, JSON, headers)
