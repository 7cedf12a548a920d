"""Peers that answer in ways that PostHog never does."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path


@contextmanager
def answering(
    status: int, headers: Mapping[str, str], body: bytes
) -> Iterator[tuple[str, list[bytes]]]:
    """Serve with one answer to everything; give the address and the requests so far."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    with serving(lambda connection: connection.sendall(head + body)) as served:
        yield served


@contextmanager
def serving(
    manner: Callable[[socket.socket], None], *, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[bytes]]]:
    """Serve in a manner of one's own; give the address and the requests so far.

    Args:
        manner: what to do with a connection once the request is there.
        context: of TLS.
    """
    requests: list[bytes] = []
    ended = threading.Event()

    def serve(plain: socket.socket) -> None:
        with suppress(OSError), plain, _wrapped(plain, context) as connection:
            requests.append(_request_from(connection))
            manner(connection)

    def accept() -> None:
        while not ended.is_set():
            with suppress(OSError):
                threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        acceptor = threading.Thread(target=accept, daemon=True)
        acceptor.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", requests
        finally:
            ended.set()
            acceptor.join()


def _wrapped(connection: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
    return connection if context is None else context.wrap_socket(connection, server_side=True)


def certificate(folder: Path, host: str, ends: datetime) -> Path:
    """Make a certificate that nobody has signed; return the file with it and its key."""
    pytest.importorskip("cryptography")
    from cryptography import x509  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(ends - timedelta(days=30))
        .not_valid_after(ends)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    return path


def _request_from(connection: socket.socket) -> bytes:
    connection.settimeout(30)
    came = b""
    while b"\r\n\r\n" not in came:
        came += connection.recv(65536) or _gone()
    head, _, body = came.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += connection.recv(65536) or _gone()
    return head + b"\r\n\r\n" + body


def _gone() -> bytes:
    raise ConnectionError
