"""A stand-in for Azure Blob Storage: lists a container page by page, and gives blobs by range.

As in https://learn.microsoft.com/rest/api/storageservices/list-blobs and …/get-blob. Only what a
reader needs; the account's signature is compared by its presence, not by its value.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from tests.fakes.local_server import Answer, StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.local_server import Incoming

ACCOUNT = "devstoreaccount1"
CONTAINER = "box"
#: The key of Microsoft's own emulator, which everybody may know.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_VERSION = {"x-ms-version": "2025-01-05"}
_BYTES = "application/octet-stream"


class AzureBlobs(StandIn):
    """A server with one container.

    Args:
        page: How many names one page of a list has.
    """

    def __init__(self, page: int = 5000) -> None:
        super().__init__()
        self.blobs: dict[str, bytes] = {}
        self.written: dict[str, str] = {}
        self.refuses = False
        self.page = page

    @property
    def connection_string(self) -> str:
        """What `AZURE_STORAGE_CONNECTION_STRING` is to be."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint={self.url}/{ACCOUNT};"
        )

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write blobs."""
        self.blobs |= files
        self.written |= dict.fromkeys(files, formatdate(usegmt=True))

    def respond(self, incoming: Incoming) -> Answer:
        """List the container, or give a blob."""
        query = parse_qs(incoming.query)
        _, account, container, *rest = unquote(incoming.path).split("/", 3)
        assert account == ACCOUNT
        if self.refuses or "Authorization" not in incoming.headers:
            return _refused(403, "AuthorizationFailure")
        if container != CONTAINER:
            return _refused(404, "ContainerNotFound")
        if query.get("comp") == ["list"]:
            return Answer(200, self._listed(query).encode(), "application/xml", _VERSION)
        if rest and rest[0] in self.blobs:
            return _blob(incoming, self.blobs[rest[0]], self.written[rest[0]])
        return _refused(404, "BlobNotFound")

    def _listed(self, query: dict[str, list[str]]) -> str:
        prefix, delimiter, after = (
            query.get(name, [""])[0] for name in ("prefix", "delimiter", "marker")
        )
        entries: dict[str, str] = {}
        for name in sorted(self.blobs):
            rest = name[len(prefix) :]
            if name.startswith(prefix) and delimiter and delimiter in rest:
                cut = prefix + rest.partition(delimiter)[0] + delimiter
                entries[cut] = f"<BlobPrefix><Name>{escape(cut)}</Name></BlobPrefix>"
            elif name.startswith(prefix):
                entries[name] = self._entry(name)
        left = [name for name in entries if name > after]
        page = left[: self.page]
        more = page[-1] if len(page) < len(left) else ""
        return (
            '<?xml version="1.0" encoding="utf-8"?>'
            f'<EnumerationResults ContainerName="{CONTAINER}">'
            f"<Blobs>{''.join(entries[name] for name in page)}</Blobs>"
            f"<NextMarker>{escape(more)}</NextMarker></EnumerationResults>"
        )

    def _entry(self, name: str) -> str:
        return (
            f"<Blob><Name>{escape(name)}</Name><Properties>"
            f"<Last-Modified>{self.written[name]}</Last-Modified><Etag>0x1</Etag>"
            f"<Content-Length>{len(self.blobs[name])}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
        )


def _blob(incoming: Incoming, content: bytes, written: str) -> Answer:
    headers = {
        **_VERSION,
        "Last-Modified": written,
        "ETag": '"0x1"',
        "x-ms-blob-type": "BlockBlob",
        "Accept-Ranges": "bytes",
    }
    asked = incoming.headers.get("x-ms-range") or incoming.headers.get("Range")
    if not asked or incoming.method == "HEAD":
        return Answer(200, content, _BYTES, headers)
    first, _, last = asked.removeprefix("bytes=").partition("-")
    if int(first) >= len(content):
        return _refused(416, "InvalidRange")
    end = min(int(last) if last else len(content), len(content) - 1)
    headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
    return Answer(206, content[int(first) : end + 1], _BYTES, headers)


def _refused(status: int, code: str) -> Answer:
    error = f"<Error><Code>{code}</Code><Message>No</Message></Error>"
    body = f'<?xml version="1.0" encoding="utf-8"?>{error}'
    return Answer(status, body.encode(), "application/xml", {**_VERSION, "x-ms-error-code": code})
