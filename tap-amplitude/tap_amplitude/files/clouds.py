"""Buckets of the three clouds that Amplitude exports to, and their failures in words."""

from __future__ import annotations

import enum
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_amplitude.errors import FixConfiguration, RunAgain, no_room

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_amplitude.errors import TapError

_LONGEST_REASON = 300


@dataclass(frozen=True)
class Cloud:
    """A cloud with buckets.

    Attributes:
        scheme: What its addresses begin with.
        package: The fsspec driver.
        extra: The extra of tap-amplitude that installs the driver.
        rights: What the credentials must be allowed to do.
        credentials: Where the driver finds them.
    """

    scheme: str
    package: str
    extra: str
    rights: str
    credentials: str


_S3 = Cloud(
    "s3",
    "s3fs",
    "s3",
    "`s3:ListBucket` and `s3:GetObject`",
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the role of the machine",
)
_GCS = Cloud(
    "gs",
    "gcsfs",
    "gcs",
    "the role Storage Object Viewer",
    "GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, or the machine's "
    "service account",
)
_AZURE = Cloud(
    "az",
    "adlfs",
    "azure",
    "the role Storage Blob Data Reader",
    "AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN, or "
    "AZURE_STORAGE_CONNECTION_STRING",
)
#: The first is what the documentation names; the others are what fsspec takes as well.
CLOUDS = {
    "s3": _S3,
    "s3a": _S3,
    "gs": _GCS,
    "gcs": _GCS,
    "az": _AZURE,
    "abfs": _AZURE,
    "abfss": _AZURE,
}


def is_url(path: str) -> bool:
    """Return True if a path is an address and not a file of this machine."""
    return "://" in path


def cloud_of(url: str) -> Cloud | None:
    """Return the cloud of an address, None when it is none that the tap reads."""
    return CLOUDS.get(url.partition("://")[0].lower())


def is_installed(cloud: Cloud) -> bool:
    """Return True if the driver can be imported."""
    return importlib.util.find_spec(cloud.package) is not None


def bucket_problems(url: str) -> Iterator[str]:
    """Yield what is wrong with the address of a bucket, without asking the network."""
    cloud = cloud_of(url)
    if cloud is None:
        yield (
            f"`archive_path`: {url} is not an address that the tap reads. "
            "Buckets begin with s3://, gs:// or az://."
        )
    elif not url.partition("://")[2].strip("/"):
        yield f"`archive_path`: {url} names no bucket. It looks like {cloud.scheme}://bucket/folder."
    elif not is_installed(cloud):
        yield (
            f"`archive_path`: reading {cloud.scheme}:// needs the package `{cloud.package}`, which "
            f"is not installed. Add the extra to `pip_url` in meltano.yml, "
            f"`-e ./tap-amplitude[{cloud.extra}]`, and run `meltano install`."
        )


def failure_of(error: Exception, cloud: Cloud, place: str, *, listed: bool = False) -> TapError:
    """Return the error that a driver's error means for the user.

    `listed`: the object was there when the bucket was listed.
    """
    if isinstance(error, OSError) and (full := no_room(error, "the download")):
        return full
    reason = _reason(error)
    kind = _kind_of(error, reason.lower(), listed=listed)
    if kind is _Kind.CHANGED:
        return RunAgain(
            f"{place} was there when the bucket was listed, and is gone or changed now.",
            remedy="Run the same command again. If files were deleted on purpose, it goes on "
            "without them.",
        )
    if kind is _Kind.OTHER:
        return RunAgain(
            f"{place} could not be read ({reason}).",
            remedy="Run the same command again. If it keeps failing, check the network and the "
            "address of `archive_path`.",
        )
    return _mistake(kind, cloud, place, reason)


def is_mistake(error: Exception) -> bool:
    """Return True if a driver's error is about credentials, rights or an address."""
    return _kind_of(error, _reason(error).lower(), listed=False) is not _Kind.OTHER


def _mistake(kind: _Kind, cloud: Cloud, place: str, reason: str) -> FixConfiguration:
    if kind is _Kind.NO_CREDENTIALS:
        return FixConfiguration(
            f"There are no usable credentials for {place} ({reason}).",
            remedy=f"Give them in the cloud's own way: {cloud.credentials}.",
        )
    if kind is _Kind.REFUSED:
        return FixConfiguration(
            f"Access to {place} was refused ({reason}).",
            remedy=f"The credentials need {cloud.rights}.",
        )
    if kind is _Kind.REGION:
        return FixConfiguration(
            f"The bucket of {place} is in another region ({reason}).",
            remedy="Set AWS_DEFAULT_REGION to the bucket's region.",
        )
    address = f"{cloud.scheme}://bucket/folder/of/the/export"
    return FixConfiguration(
        f"The bucket of {place} does not exist ({reason}).",
        remedy=f"Check `archive_path`: it looks like {address}.",
    )


class _Kind(enum.Enum):
    """What a driver's error is about."""

    NO_CREDENTIALS = enum.auto()
    REFUSED = enum.auto()
    REGION = enum.auto()
    CHANGED = enum.auto()
    NO_BUCKET = enum.auto()
    OTHER = enum.auto()


# The drivers' errors have no common class, and the drivers may not be installed: names and codes
# are what can be compared.
_NO_CREDENTIALS = (
    "nocredentials",
    "partialcredentials",
    "credentialretrieval",
    "defaultcredentialserror",
    "refresherror",
    "profilenotfound",
    "unauthorizedssotoken",
    "must provide either a connection_string or account_name",
    "anonymous caller",
)
_REFUSED = (
    "accessdenied",
    "access denied",
    "invalidaccesskeyid",
    "access key id you provided does not exist",
    "signaturedoesnotmatch",
    "signature we calculated does not match",
    "expiredtoken",
    "invalidtoken",
    "clientauthenticationerror",
    "authorizationfailure",
    "authorizationpermissionmismatch",
    "forbidden",
    "unauthorized",
)
_REGION = (
    "permanentredirect",
    "authorizationheadermalformed",
    "illegallocationconstraint",
    "the bucket you are attempting to access must be addressed using the specified endpoint",
)
_NO_BUCKET = ("nosuchbucket", "containernotfound", "bucket does not exist", "invalidbucketname")
_CHANGED = ("fileexpired", "preconditionfailed", "pre-conditions you specified did not hold")


def _kind_of(error: Exception, reason: str, *, listed: bool) -> _Kind:
    signs = f"{type(error).__name__.lower()} {reason}"
    gone = isinstance(error, FileNotFoundError)
    table = (
        (_Kind.NO_CREDENTIALS, False, _NO_CREDENTIALS),
        (_Kind.REFUSED, isinstance(error, PermissionError), _REFUSED),
        (_Kind.REGION, False, _REGION),
        (_Kind.CHANGED, listed and gone, _CHANGED),
        (_Kind.NO_BUCKET, gone, _NO_BUCKET),
    )
    for kind, is_surely, words in table:
        if is_surely or any(word in signs for word in words):
            return kind
    return _Kind.OTHER


def _reason(error: Exception) -> str:
    return " ".join((str(error) or type(error).__name__).split())[:_LONGEST_REASON].rstrip(".")
