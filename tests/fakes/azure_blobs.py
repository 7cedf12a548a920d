"""A stand-in for Azure Blob Storage: lists a container page by page, and gives blobs by range.

As in https://learn.microsoft.com/rest/api/storageservices/list-blobs and …/get-blob. Only what a
reader needs; the account's signature is compared by its presence, not by its value.
"""

from __future__ import annotations

import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

ACCOUNT = "devstoreaccount1"
CONTAINER = "box"
#: The key of Microsoft's own emulator, which everybody may know.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class AzureBlobs:
    """A server with one container, to be used in a `with`.

    Args:
        page: How many names one page of a list has.
    """

    def __init__(self, page: int = 5000) -> None:
        self.blobs: dict[str, bytes] = {}
        self.written: dict[str, str] = {}
        self.refuses = False
        self.page = page
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.store = self

    @property
    def connection_string(self) -> str:
        """What `AZURE_STORAGE_CONNECTION_STRING` is to be."""
        address = f"http://127.0.0.1:{self._server.server_port}/{ACCOUNT}"
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={_KEY};"
            f"BlobEndpoint={address};"
        )

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write blobs."""
        self.blobs |= files
        self.written |= dict.fromkeys(files, formatdate(usegmt=True))

    def __enter__(self) -> Self:
        """Start the server."""
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    store: AzureBlobs


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        _, account, container, *rest = unquote(path).split("/", 3)
        store = self.server.store
        assert account == ACCOUNT
        if store.refuses or "Authorization" not in self.headers:
            self._refuse(403, "AuthorizationFailure")
        elif container != CONTAINER:
            self._refuse(404, "ContainerNotFound")
        elif query.get("comp") == ["list"]:
            self._answer(200, self._listed(query).encode(), {"Content-Type": "application/xml"})
        elif rest and rest[0] in store.blobs:
            self._blob(store.blobs[rest[0]], store.written[rest[0]])
        else:
            self._refuse(404, "BlobNotFound")

    do_HEAD = do_GET  # noqa: N815 - the name is the library's

    def _listed(self, query: dict[str, list[str]]) -> str:
        prefix, delimiter, after = (
            query.get(name, [""])[0] for name in ("prefix", "delimiter", "marker")
        )
        entries: dict[str, str] = {}
        for name in sorted(self.server.store.blobs):
            rest = name[len(prefix) :]
            if name.startswith(prefix) and delimiter and delimiter in rest:
                cut = prefix + rest.partition(delimiter)[0] + delimiter
                entries[cut] = f"<BlobPrefix><Name>{escape(cut)}</Name></BlobPrefix>"
            elif name.startswith(prefix):
                entries[name] = self._entry(name)
        left = [name for name in entries if name > after]
        page = left[: self.server.store.page]
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
            f"<Last-Modified>{self.server.store.written[name]}</Last-Modified><Etag>0x1</Etag>"
            f"<Content-Length>{len(self.server.store.blobs[name])}</Content-Length>"
            "<BlobType>BlockBlob</BlobType></Properties></Blob>"
        )

    def _blob(self, content: bytes, written: str) -> None:
        headers = {
            "Last-Modified": written,
            "ETag": '"0x1"',
            "x-ms-blob-type": "BlockBlob",
            "Accept-Ranges": "bytes",
        }
        asked = self.headers.get("x-ms-range") or self.headers.get("Range")
        if not asked or self.command == "HEAD":
            self._answer(200, content, headers)
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        if int(first) >= len(content):
            self._refuse(416, "InvalidRange")
            return
        end = min(int(last) if last else len(content), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{end}/{len(content)}"
        self._answer(206, content[int(first) : end + 1], headers)

    def _refuse(self, status: int, code: str) -> None:
        body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code></Error>'
        self._answer(status, body.encode(), {"x-ms-error-code": code})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"x-ms-version": "2025-01-05", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the base
        """Say nothing."""
