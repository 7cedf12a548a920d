"""The Singer SDK's own tests of a target, against the stand-in and against the preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.testing import get_target_test_class

from target_posthog.target import TargetPosthog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.posthog_capture import PosthogCapture

# Most of the SDK's records name no person.
_SENDING: dict[str, Any] = {"api_key": "phc_test", "max_reject_ratio": 1}
_PREVIEW: dict[str, Any] = {"max_reject_ratio": 1}


@pytest.fixture
def settings_of_sending(
    capture: PosthogCapture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Let the SDK's target send to the stand-in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(_SENDING, "host", capture.url)
    yield
    # Whatever the SDK's streams hold, PostHog refuses none of it.
    assert {request.status for request in capture.requests} <= {200}


@pytest.fixture
def settings_of_preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the SDK's target write below the test's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(_PREVIEW, "preview_path", str(tmp_path / "preview"))


# Where the SDK's test expects a failure, nobody closes the target's files.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

_Sending = get_target_test_class(TargetPosthog, config=_SENDING)
_Preview = get_target_test_class(TargetPosthog, config=_PREVIEW)


@pytest.mark.usefixtures("settings_of_sending")
class TestSending(_Sending):  # type: ignore[misc, valid-type] # made at run time
    """Against the stand-in."""


@pytest.mark.usefixtures("settings_of_preview")
class TestPreview(_Preview):  # type: ignore[misc, valid-type] # made at run time
    """Against the preview."""
