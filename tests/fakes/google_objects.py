"""A stand-in for Google Cloud Storage that keeps the `Content-Encoding` of an object.

As in https://docs.cloud.google.com/storage/docs/transcoding: an object with the encoding gzip goes
out with that header, as it is stored, to a client that accepts gzip, which unpacks it; its size in
a list is that of the stored bytes. Only what a reader needs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from tests.fakes.local_server import Answer, StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.local_server import Incoming

BUCKET = "encoded"
_JSON = "application/json"


class GoogleObjects(StandIn):
    """A server with one bucket, all of whose objects have the encoding gzip.

    Args:
        objects: The stored bytes by name.
    """

    def __init__(self, objects: Mapping[str, bytes]) -> None:
        super().__init__()
        self.objects = dict(objects)

    def respond(self, incoming: Incoming) -> Answer:
        """List the bucket, or give an object or its content."""
        query = parse_qs(incoming.query)
        _, _, place = incoming.path.partition(f"/b/{BUCKET}/o")
        name = unquote(place.removeprefix("/"))
        if not name:
            return self._listed(query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
        if name not in self.objects:
            return Answer(404, b"{}", _JSON)
        if query.get("alt") == ["media"]:
            return _content(incoming, self.objects[name])
        return Answer(200, json.dumps(self._entry(name)).encode(), _JSON)

    def _listed(self, prefix: str, delimiter: str) -> Answer:
        names = [name for name in self.objects if name.startswith(prefix)]
        cut, whole = set(), []
        for name in names:
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                cut.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                whole.append(self._entry(name))
        listed = {"items": whole, "prefixes": sorted(cut)}
        return Answer(200, json.dumps(listed).encode(), _JSON)

    def _entry(self, name: str) -> dict[str, str]:
        return {
            "name": name,
            "bucket": BUCKET,
            "size": str(len(self.objects[name])),
            "updated": "2024-01-02T00:00:00Z",
            "contentEncoding": "gzip",
            "generation": "1",
        }


def _content(incoming: Incoming, content: bytes) -> Answer:
    assert "gzip" in incoming.headers.get("Accept-Encoding", "")
    asked = incoming.headers.get("Range")
    if asked:  # of the stored bytes, which no client can unpack
        first, _, last = asked.removeprefix("bytes=").partition("-")
        content = content[int(first) : int(last or len(content)) + 1]
    headers = {"Content-Encoding": "gzip"}
    return Answer(206 if asked else 200, content, "application/octet-stream", headers)
