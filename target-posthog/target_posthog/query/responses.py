"""What PostHog's responses to a query mean, by status.

Facts from PostHog/posthog posthog/exceptions.py and posthog/api/query.py, whose errors all are JSON
`{type, code, detail, attr}`, and from posthog.com/docs/api/queries.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from target_posthog.capture.retries import Retryable
from target_posthog.errors import FixConfiguration, NotAsked, QueryTooLarge
from target_posthog.json_codec import json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from target_posthog.capture.bounded_http import HttpResponse
    from target_posthog.query.peer import AppPeer

_NEW_KEY = (
    "Set `personal_api_key` to a personal API key, phx_…, with the scope Query Read and access to "
    "the project (PostHog: Settings, Personal API keys), and `host` to the project's region."
)
_SERVER_ERROR = 500
#: What the two codes for a query that is too much also stand for: a cluster that is busy.
_BUSY = "heavy load"


class _Action(Enum):
    READ = auto()
    NOT_UNDERSTOOD = auto()
    WRONG_KEY = auto()
    UNPAID = auto()
    NO_RIGHT = auto()
    NO_PROJECT = auto()
    RETRY = auto()
    TOO_MUCH = auto()
    WRONG_HOST = auto()


ACTIONS = {
    200: _Action.READ,
    400: _Action.NOT_UNDERSTOOD,
    401: _Action.WRONG_KEY,
    402: _Action.UNPAID,
    403: _Action.NO_RIGHT,
    404: _Action.NO_PROJECT,
    408: _Action.RETRY,
    # 2,400 requests an hour, 240 a minute, three at once, for the whole project.
    429: _Action.RETRY,
    # The time of a query is up; it would be; its memory is.
    504: _Action.TOO_MUCH,
    512: _Action.TOO_MUCH,
    513: _Action.TOO_MUCH,
}


def content_of(response: HttpResponse, peer: AppPeer, project_id: str) -> Mapping[str, Any]:
    """Return what a response holds, with the rows as `results`.

    Raises:
        Retryable: it holds nothing, but the next may.
        QueryTooLarge: the query asks for too much at once.
        NotAsked: PostHog does not understand the query.
        FixConfiguration: nobody may ask this way before a setting is changed.
    """
    status, content = response.status, json_object(response.body)
    action = ACTIONS.get(status, _Action.RETRY if status >= _SERVER_ERROR else _Action.WRONG_HOST)
    if action is _Action.READ:
        if not isinstance(content.get("results"), list):
            raise peer.foreign(response)
        return content
    # A proxy or a page of another server refuses with the same statuses.
    if "detail" not in content:
        if status >= _SERVER_ERROR or action is _Action.RETRY:
            raise peer.foreign(response)
        raise peer.wrong_host(_words_of_another(response, peer))
    said = peer.shown(str(content["detail"]))
    if action is _Action.RETRY or _BUSY in said:
        raise Retryable(f"it answered {status} ({said})", response.retry_after, status)
    if action is _Action.TOO_MUCH or content.get("code") == "too_many_bytes":
        raise QueryTooLarge(
            f"A query is too much for PostHog ({status}: {said}).",
            "Ask for less at once, or try again when PostHog is less busy.",
        )
    if action is _Action.NOT_UNDERSTOOD:
        raise NotAsked(
            f"PostHog does not understand the query ({status}: {said}).",
            "An installation of your own may be too old; otherwise please report it.",
        )
    raise _refusal(action, f"{status}: {said}", peer, project_id)


def _refusal(action: _Action, said: str, peer: AppPeer, project_id: str) -> FixConfiguration:
    """Return the error for PostHog's own refusal of whoever asks."""
    if action is _Action.WRONG_KEY:
        return FixConfiguration(
            f"PostHog at {peer.host} refused the personal API key ({said}).", _NEW_KEY
        )
    if action is _Action.NO_RIGHT:
        return FixConfiguration(
            f"The personal API key may not query project {project_id} at {peer.host} ({said}).",
            _NEW_KEY,
        )
    if action is _Action.NO_PROJECT:
        return FixConfiguration(
            f"PostHog at {peer.host} shows this key no project {project_id} ({said}).",
            "Set `project_id` to the number in the address of the project's pages, "
            "/project/12345/, and `host` to its region.",
        )
    if action is _Action.UNPAID:
        return FixConfiguration(
            f"PostHog answers no queries for this organization ({said}).",
            "Look at its billing page.",
        )
    return peer.wrong_host(f"it answered {said}")


def _words_of_another(response: HttpResponse, peer: AppPeer) -> str:
    if (redirected := peer.redirect_of(response)) is not None:
        return redirected
    said = peer.shown(response.body)
    return f"it answered {response.status}" + (f" ({said})" if said else "")
