"""Buckets to read from: servers that speak S3's and Google's own protocols, on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3  # type: ignore[import-untyped]
import requests

from tests.fakes.azure_blobs import CONTAINER, AzureBlobs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BUCKET = "amplitude-data"


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

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write objects."""
        if self.azure:
            self.azure.put(files)
            return
        for name, content in files.items():
            if self.url.startswith("s3"):
                self._s3().put_object(Bucket=BUCKET, Key=name, Body=content)
                continue
            requests.post(
                f"{self.server}/upload/storage/v1/b/{BUCKET}/o",
                params={"uploadType": "media", "name": name},
                data=content,
                headers={"Content-Type": "application/octet-stream"},
                timeout=30,
            ).raise_for_status()

    def get(self, name: str) -> bytes:
        """Read an object of a bucket of Amazon S3."""
        content: bytes = self._s3().get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return content

    def delete(self, name: str) -> None:
        """Delete an object."""
        if self.url.startswith("s3"):
            self._s3().delete_object(Bucket=BUCKET, Key=name)
            return
        address = f"{self.server}/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}"
        requests.delete(address, timeout=30).raise_for_status()

    def _s3(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.server,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_DEFAULT_REGION"],
        )


def s3_bucket() -> Iterator[Bucket]:
    """Run moto's S3 server with one bucket, as long as the generator lives."""
    with _Server([sys.executable, "-m", "moto.server"], "-p") as server:
        bucket = Bucket(
            f"s3://{BUCKET}",
            server,
            {
                "AWS_ENDPOINT_URL": server,
                "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
                "AWS_SECRET_ACCESS_KEY": "a-secret-for-the-bucket",
                "AWS_DEFAULT_REGION": "us-east-1",
            },
        )
        bucket._s3().create_bucket(Bucket=BUCKET)
        yield bucket


def gcs_bucket() -> Iterator[Bucket]:
    """Run an emulator of Google Cloud Storage with one bucket, as long as the generator lives."""
    program = "import sys; from gcp_storage_emulator.__main__ import main; sys.exit(main())"
    start = [sys.executable, "-c", program, "start", "--in-memory", "--host", "127.0.0.1"]
    with _Server(start, "--port") as server:
        requests.post(
            f"{server}/storage/v1/b", json={"name": BUCKET}, timeout=30
        ).raise_for_status()
        yield Bucket(
            f"gs://{BUCKET}", server, {"STORAGE_EMULATOR_HOST": server, "NO_GCE_CHECK": "true"}
        )


def azure_bucket() -> Iterator[Bucket]:
    """Run a stand-in of Azure Blob Storage with one container, as long as the generator lives."""
    with AzureBlobs(page=2) as server:
        environment = {"AZURE_STORAGE_CONNECTION_STRING": server.connection_string}
        yield Bucket(f"az://{CONTAINER}", "", environment, server)


class _Server:
    """A server process on a free port of this machine."""

    def __init__(self, start: list[str], port_option: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._command = [*start, port_option, str(self._port)]

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            assert self._process.poll() is None, "the server ended"
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return f"http://127.0.0.1:{self._port}"
            time.sleep(0.1)
        raise TimeoutError("the server did not start")

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
