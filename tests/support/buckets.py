"""Buckets to read from: servers that speak S3's and Google's own protocols, on this machine."""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3  # type: ignore[import-untyped]
import requests

from tests.fakes.azure_blobs import CONTAINER, AzureBlobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pytest
    from typing_extensions import Self

BUCKET = "amplitude-data"
_S3_REGION = "us-east-1"
_S3_KEYS = {
    "aws_access_key_id": "AKIATESTTESTTESTTEST",
    "aws_secret_access_key": "a-secret-for-the-bucket",
}
#: How many objects the stand-in of S3 lists at once.
S3_PAGE = 10


@dataclass(frozen=True)
class Bucket:
    """A bucket of a running server.

    Attributes:
        url: Its address for `archive_path`, without a folder.
        server: The address of the server.
        environment: What a process needs to find the server.
        azure: The server itself, when it runs in this process.
    """

    url: str
    server: str
    environment: Mapping[str, str] = field(default_factory=dict)
    azure: AzureBlobs | None = None

    def found(self, monkeypatch: pytest.MonkeyPatch) -> Self:
        """Let this process find the server; give itself."""
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        return self

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write objects."""
        if self.azure:
            self.azure.put(files)
            return
        for name, content in files.items():
            if self.url.startswith("s3"):
                self.s3.put_object(Bucket=BUCKET, Key=name, Body=content)
                continue
            _post(
                f"{self.server}/upload/storage/v1/b/{BUCKET}/o",
                params={"uploadType": "media", "name": name},
                data=content,
                headers={"Content-Type": "application/octet-stream"},
            )

    def get(self, name: str) -> bytes:
        """Read an object of a bucket of Amazon S3."""
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return content

    def delete(self, name: str) -> None:
        """Delete an object."""
        if self.url.startswith("s3"):
            self.s3.delete_object(Bucket=BUCKET, Key=name)
            return
        address = f"{self.server}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}"
        requests.delete(address, timeout=30).raise_for_status()

    @property
    def s3(self) -> Any:
        """A client of Amazon S3."""
        return _s3_client(self.server)


def s3_bucket() -> Bucket:
    """Return the one bucket of moto's S3 server, empty; S3 would list 1,000 objects at once."""
    server = _server(sys.executable, "-m", "moto.server", "-p")
    # A test may have let it check keys.
    _post(f"{server}/moto-api/reset-auth", data=b"inf")
    _post(f"{server}/moto-api/reset")
    environment = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": _S3_KEYS["aws_access_key_id"],
        "AWS_SECRET_ACCESS_KEY": _S3_KEYS["aws_secret_access_key"],
        "AWS_DEFAULT_REGION": _S3_REGION,
    }
    bucket = Bucket(f"s3://{BUCKET}", server, environment)
    bucket.s3.create_bucket(Bucket=BUCKET)
    return bucket


@cache
def _s3_client(server: str) -> Any:
    """A client, kept because to make one takes longer than most tests."""
    return boto3.client("s3", endpoint_url=server, region_name=_S3_REGION, **_S3_KEYS)


def gcs_bucket() -> Bucket:
    """Return the one bucket of an emulator of Google Cloud Storage, empty."""
    program = "import sys; from gcp_storage_emulator.__main__ import main; sys.exit(main())"
    start = [sys.executable, "-c", program, "start", "--in-memory", "--host", "127.0.0.1"]
    server = _server(*start, "--port")
    requests.get(f"{server}/wipe", timeout=30).raise_for_status()
    _post(f"{server}/storage/v1/b", json={"name": BUCKET})
    return Bucket(
        f"gs://{BUCKET}", server, {"STORAGE_EMULATOR_HOST": server, "NO_GCE_CHECK": "true"}
    )


def azure_bucket() -> Iterator[Bucket]:
    """Run a stand-in of Azure Blob Storage with one container, as long as the generator lives."""
    with AzureBlobs(page=2) as server:
        environment = {"AZURE_STORAGE_CONNECTION_STRING": server.connection_string}
        yield Bucket(f"az://{CONTAINER}", "", environment, server)


@cache
def _server(*start: str) -> str:
    """Start a server that serves until this process ends, as a start takes two seconds of CPU.

    Args:
        start: Its command, but for the number of its port.

    Returns:
        Its address.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*start, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_S3_DEFAULT_MAX_KEYS": f"{S3_PAGE}"},
    )

    def end() -> None:
        process.kill()
        process.wait()

    atexit.register(end)
    latest = time.monotonic() + 60
    while time.monotonic() < latest:
        assert process.poll() is None, "the server ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return f"http://127.0.0.1:{port}"
        time.sleep(0.1)
    raise TimeoutError("the server did not start")


def _post(address: str, **content: Any) -> None:
    requests.post(address, timeout=30, **content).raise_for_status()
