"""PostHog's two protocols: how a request is written, and how its 200 is read.

Pure. `batch` is `POST /batch/`, which takes or refuses a request whole. `v1` is
`POST /i/v1/analytics/events`, which answers for each event (PostHog/posthog rust/capture/src/v1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from target_posthog.capture.results import Accepted
from target_posthog.common.peer_words import PeerWords
from target_posthog.errors import FixConfiguration, RunAgain
from target_posthog.json_codec import dumps, json_object
from target_posthog.model import Json, Rejected
from target_posthog.posthog import library as lib

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from target_posthog.posthog.events import OutgoingEvent

_MIB = 1024 * 1024
#: v1 drops an event with a longer name or id, in bytes (rust/capture v1/analytics/constants.rs).
_MAX_V1_BYTES = 200
#: What v1 wants beside the properties instead of in them (posthog-python, `capture_v1.py`).
_V1_OPTION_OF = {
    "$process_person_profile": "process_person_profile",
    "$cookieless_mode": "cookieless_mode",
}
#: v1 writes our own name to these (rust/capture v1/analytics/types.rs); so the source's move.
_V1_MOVED = {"$lib": "source_lib", "$lib_version": "source_lib_version"}
#: v1 writes this itself, as the options say it.
_V1_OWN = "$ignore_sent_at"
_V1_AWAY = frozenset({*_V1_OPTION_OF, *_V1_MOVED, _V1_OWN})


class Wire(Protocol):
    """One of the two protocols."""

    @property
    def path(self) -> str:
        """What follows the host."""

    @property
    def max_bytes(self) -> int:
        """How many bytes of events fit a request whatever compression makes of them."""

    def fitted(self, event: Json) -> Json | Rejected:
        """Return an event as this protocol wants it, or why it would not take it.

        The event fits in general (see `posthog.events.prepare`); it stays as it is.
        """

    def head(self, *, historical: bool, created_at: str) -> bytes:
        """Return a request body up to its first event; after the last one `]}` follows."""

    def headers_of(self, *, attempt: int, request_id: str, now: str) -> dict[str, str]:
        """Return the headers of one try beside those that every request has."""

    def accepted(self, body: bytes, items: Sequence[OutgoingEvent]) -> Accepted | None:
        """Read a 200; None when it is not PostHog's yes.

        Raises:
            RunAgain: it took nothing, and will not before something is done in PostHog.
            FixConfiguration: it took nothing, because of a setting.
        """


class BatchWire:
    """`POST /batch/`: the key stands in the body, and one bad event refuses all."""

    path = "/batch/"
    # rust/capture router.rs takes 20 MiB on the wire; some is left for what does not compress.
    max_bytes = 19 * _MIB

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    def fitted(self, event: Json) -> Json:
        """Return the event as it is: `prepare` knows all that this protocol refuses."""
        return event

    def head(self, *, historical: bool, created_at: str) -> bytes:  # noqa: ARG002 - see Wire
        """Return the envelope.

        There is no `sent_at`: PostHog would shift every timestamp by the difference between it and
        its own clock (posthog.com, docs/data/timestamps).
        """
        return _opened({"api_key": self._api_key, "historical_migration": historical})

    def headers_of(self, *, attempt: int, request_id: str, now: str) -> dict[str, str]:  # noqa: ARG002 - see Wire
        """Return none."""
        return {}

    def accepted(self, body: bytes, items: Sequence[OutgoingEvent]) -> Accepted | None:  # noqa: ARG002 - see Wire
        """See that the 200 is PostHog's own, and not one that means a refusal."""
        parsed = json_object(body)
        if parsed.get("quota_limited"):
            # Over quota PostHog answers 200 and drops the events (rust/capture v0_endpoint.rs).
            raise quota_used_up()
        return Accepted() if _is_yes(parsed.get("status")) else None


class V1Wire:
    """`POST /i/v1/analytics/events`: the key stands in a header, and each event has its own result.

    Args:
        user_agent: `name/version` of this program. PostHog writes them to `$lib` and
            `$lib_version` of every event.
    """

    path = "/i/v1/analytics/events"
    # CAPTURE_V1_MAX_COMPRESSED_BODY_BYTES is 10 MiB.
    max_bytes = 9 * _MIB

    def __init__(self, api_key: str, user_agent: str) -> None:
        self._fixed = {"Authorization": f"Bearer {api_key}", "PostHog-Sdk-Info": user_agent}
        self._words = PeerWords(api_key)

    def fitted(self, event: Json) -> Json | Rejected:
        """Return the event with its options, or why v1 would drop or bend it.

        Every time is right as it is, so none may be moved by the difference of two clocks.
        """
        name, person = event["event"], event["distinct_id"]
        # v1 counts bytes, of which a character has four at most.
        if len(name) + len(person) > _MAX_V1_BYTES // 4 or person.strip() != person:
            misfit = _v1_misfit(name, person)
            if misfit is not None:
                return misfit
        options: Json = {"disable_skew_correction": True}
        properties = event["properties"]
        if not _V1_AWAY.isdisjoint(properties):
            properties = dict(properties)
            properties.pop(_V1_OWN, None)
            for name, option in _V1_OPTION_OF.items():
                if isinstance(properties.get(name), bool):
                    options[option] = properties.pop(name)
            _move_lib(properties)
        return {**event, "properties": properties, "options": options}

    def head(self, *, historical: bool, created_at: str) -> bytes:
        """Return the envelope, which holds no key."""
        return _opened({"created_at": created_at, "historical_migration": historical})

    def headers_of(self, *, attempt: int, request_id: str, now: str) -> dict[str, str]:
        """Return the headers of v1 (rust/capture v1/constants.rs, `REQUIRED_HEADERS`)."""
        return {
            **self._fixed,
            "PostHog-Attempt": str(attempt),
            "PostHog-Request-Id": request_id,
            "PostHog-Request-Timestamp": now,
        }

    def accepted(self, body: bytes, items: Sequence[OutgoingEvent]) -> Accepted | None:
        """Read the result of each event; one without a result that we know is sent again."""
        results = json_object(body).get("results")
        if not isinstance(results, dict):
            return None
        by_uuid = {uuid.lower(): result for uuid, result in results.items()}
        dropped: dict[str, str] = {}
        warned: dict[str, str] = {}
        again: set[str] = set()
        for item in items:
            kind, details = self._result(by_uuid.get(item.uuid.lower()))
            if kind == "limited":
                # Not to be sent again (posthog-sdk-test-harness, `capture_v1`): the quota is used
                # up, and would be for the events behind it.
                raise quota_used_up()
            if kind == "drop":
                dropped[item.uuid] = details or "no reason given"
            elif kind not in {"ok", "warning"}:
                again.add(item.uuid)
            elif details or kind == "warning":
                warned[item.uuid] = details or "no details given"
        _stop_when_all_would_be_dropped(dropped.values())
        return Accepted(dropped, warned, frozenset(again))

    def _result(self, value: Any) -> tuple[str, str]:
        if not isinstance(value, dict):
            return "", ""
        details = value.get("details")
        return str(value.get("result")), "" if details is None else self._words.shown(str(details))


def wire_of(protocol: str, api_key: str, user_agent: str) -> Wire:
    """Return the protocol of a name, `batch` or `v1`."""
    return V1Wire(api_key, user_agent) if protocol == "v1" else BatchWire(api_key)


def _v1_misfit(name: str, person: str) -> Rejected | None:
    """Return why v1 would not take a name or an id (rust/capture v1/analytics/process.rs)."""
    if len(_utf8(name)) > _MAX_V1_BYTES:
        return Rejected("event_name_too_long", "PostHog takes names up to 200 bytes in v1.")
    if not person.strip():
        return Rejected("no_distinct_id", "The event's distinct_id is blank.")
    if len(_utf8(person)) > _MAX_V1_BYTES:
        return Rejected("distinct_id_too_long", "PostHog takes ids up to 200 bytes in v1.")
    if person.strip() != person:
        # Two people could become one (rust/capture v1/analytics/types.rs trims the id).
        return Rejected(
            "bad_event", "v1 cuts spaces around a distinct_id; protocol batch does not."
        )
    return None


def _move_lib(properties: Json) -> None:
    """Let the library of the source have another name, and leave ours to PostHog."""
    is_ours = properties.get("$lib") == lib.NAME
    for name, other in _V1_MOVED.items():
        if is_ours:
            properties.pop(name, None)
        elif name in properties:
            properties[_unused_name(other, properties)] = properties.pop(name)


def _unused_name(name: str, properties: Json) -> str:
    while name in properties:
        name = f"_{name}"
    return name


def _opened(envelope: Json) -> bytes:
    return dumps(envelope)[:-1] + b',"batch":['


def _stop_when_all_would_be_dropped(reasons: Iterable[str]) -> None:
    """Stop for what has nothing to do with the events: the rejects would only fill the disk."""
    for reason in reasons:
        if reason == "billing_limit_exceeded":
            raise quota_used_up()
        if reason == "non_historical_import_drop":
            raise FixConfiguration(
                "PostHog takes nothing but historical migrations at this host.",
                "Set `historical_migration` to `true`.",
            )


def quota_used_up() -> RunAgain:
    """Return the error for a project that is over its quota, however PostHog says it."""
    return RunAgain(
        "PostHog drops events of this project: its quota is used up.",
        "Raise the billing limit of the project, and run again.",
    )


def _is_yes(status: object) -> bool:
    """Tell whether PostHog says that it took all: `"Ok"` (rust/capture api.rs), older ones 1."""
    return status == "Ok" or (type(status) is int and status == 1)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
