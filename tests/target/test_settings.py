"""What is wrong with the settings is told at once, in the user's words, without any secret."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from target_posthog.errors import FixConfiguration
from target_posthog.settings import SETTINGS, Settings
from target_posthog.validation import api_key_of, checked_config

if TYPE_CHECKING:
    from tests.support.singer import Json

SOUND: dict[str, Any] = {"api_key": "phc_test"}


def checked(**settings: Any) -> Json:
    """Return the settings with their defaults."""
    config = {**SOUND, **settings}
    checked_config(config, SETTINGS, raise_errors=True)
    return config


def complaint(**settings: Any) -> str:
    """Return what is said about wrong settings."""
    with pytest.raises(FixConfiguration) as raised:
        checked(**settings)
    return str(raised.value)


def test_the_key_alone_is_enough() -> None:
    """Everything else has a default that is right for a migration."""
    config = checked()
    assert config["host"] == "https://us.i.posthog.com"
    assert config["historical_migration"] == "true"
    assert config["identity_events"] == "alias"
    assert config["ledger_url"] == "sqlite:///target-posthog.db"
    assert (config["max_batch_bytes"], config["max_batch_events"]) == (4_194_304, 5000)


@pytest.mark.parametrize("name", sorted(SETTINGS["properties"]))
def test_null_counts_as_not_set(name: str) -> None:
    """Meltano hands over null for what the user left open."""
    default = checked().get(name)
    if name == "api_key":
        assert "`api_key` is not set" in complaint(api_key=None)
    else:
        assert checked(**{name: None}).get(name) == default


@pytest.mark.parametrize("name", sorted(SETTINGS["properties"]))
def test_every_setting_says_what_it_is(name: str) -> None:
    """The reference and `--about` are made from it."""
    setting = SETTINGS["properties"][name]
    assert setting["title"]
    assert setting["description"].endswith(".")


def test_what_can_hold_a_secret_is_marked_as_one() -> None:
    """Meltano hides such settings."""
    secrets = {name for name, one in SETTINGS["properties"].items() if one.get("secret")}
    assert secrets == {"api_key", "personal_api_key", "ledger_url"}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "`api_key` is not set"),
        ("  ", "`api_key` is not set"),
        ("phc_", "template's phc_ without the token"),
        (" phc_hushhush", "blanks or line ends around it"),
        ("phc_hushhush\n", "blanks or line ends around it"),
        ("\ufeffphc_hushhush", "does not begin with phc_"),
        ('"phc_hushhush"', "quotes around it"),
        ("'phc_hushhush'", "quotes around it"),
        ("\u201cphc_hushhush\u201d", "quotes around it"),
        ("Bearer phc_hushhush", 'begins with "Bearer"'),
        ("$POSTHOG_HUSH", "name of a variable"),
        ("${POSTHOG_HUSH}", "name of a variable"),
        ("%HUSH%", "name of a variable"),
        ("{{ env.HUSH }}", "name of a variable"),
        ("<ph_project_api_key>", "name of a variable"),
        ("phx_hushhush", "personal API key (phx_…)"),
        ("phs_hushhush", "project secret API key (phs_…)"),
        ("pha_hushhush", "OAuth access token"),
        ("12345", "is a number, such as the project's id"),
        ("PHC_hushhush", "does not begin with phc_"),
        ("hushhush", "does not begin with phc_"),
        ("phc_hush hush", "characters that no token has"),
        ("phc_hush.hush", "characters that no token has"),
        ("phc_hushhushé", "characters that no token has"),
        ("phc_hushhush\u0660", "characters that no token has"),
        ("phc_hushhush" + "x" * 53, "more than 64 characters"),
    ],
)
def test_a_key_that_is_no_project_token_is_told_at_once(key: str, words: str) -> None:
    """With the reason, and the place where the right one is; the wrong one is not shown."""
    told = complaint(api_key=key)
    assert words in told
    assert "Settings, Project" in told
    assert "hush" not in told.lower()


@pytest.mark.parametrize("key", ["phc_" + "x" * 60, "phc_aZ09_-", "phc_x"])
def test_a_project_token_is_taken(key: str) -> None:
    """PostHog takes 64 characters."""
    assert api_key_of(Settings.read(checked(api_key=key))) == key


def test_a_preview_needs_no_key() -> None:
    """But a personal key is wrong there too."""
    config = {"preview_path": "p"}
    assert checked_config(config, SETTINGS, raise_errors=True) == []
    assert "personal API key" in complaint(api_key="phx_x", preview_path="p")


@pytest.mark.parametrize("value", [True, False, "true", "false", "auto"])
def test_historical_migration_is_a_truth_value_or_auto(value: object) -> None:
    """From a file it comes as a boolean, from the environment as text."""
    assert checked(historical_migration=value)["historical_migration"] == str(value).lower()


def a_to(*names: str) -> list[Json]:
    """Return renames of `a`."""
    return [{"from": "a", "to": name} for name in names]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        # A file of settings can hold a number, such as the project's id.
        ("api_key", 12345, "must be text."),
        ("source_format", "mixpanel", "must be `auto`, `amplitude`, `posthog` or `fields`."),
        ("identity_events", "merge", "must be `alias`, "),
        ("historical_migration", "yes", "must be `true`, `false` or `auto`."),
        ("max_batch_events", "many", "is not a valid integer."),
        ("skip_events", "one", 'is not a valid JSON array, such as ["a", "b"].'),
        ("property_names", a_to("$set"), "cannot make $set: PostHog acts upon that name"),
        (
            "event_names",
            a_to("$create_alias"),
            "cannot make $create_alias: PostHog acts upon that name",
        ),
        ("event_names", a_to(" "), "leaves a without a name"),
        ("event_names", a_to("b", "c"), "has two names for a, of which only one could act"),
        ("property_names", a_to("b", "c"), "has two names for a, of which only one could act"),
        ("host", "ftp://x", "is not a valid URL"),
        ("app_host", "ftp://x", "is not a valid URL"),
        ("project_id", "phc_hush", "is not the number of a project"),
        ("personal_api_key", "phc_hush", "is the project token"),
        ("max_batch_events", 0, "must be at least 1"),
        ("max_batch_bytes", -1, "must be at least 1"),
        ("max_batch_bytes", 99_000_000, "can be at most 19922944 with `proto"),
        ("max_retry_seconds", 0, "must be at least 1"),
        ("max_reject_ratio", 1.5, "must be from 0 to 1"),
        ("max_reject_ratio", -0.1, "must be from 0 to 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_may_be(name: str, value: object, words: str) -> None:
    """The user mends it without looking it up."""
    assert f"`{name}` {words}" in complaint(**{name: value})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"event_names": [{"from": "a"}]}, "`event_names.0` must have `from` and `to`."),
        ({"event_names": a_to("b" * 201)}, "`event_names`: PostHog keeps 200 letters of a name"),
        ({"project_api_key": "x"}, "no setting `project_api_key`. Did you mean `api_key`?"),
        ({"skip_property": ["a"]}, "no setting `skip_property`. Did you mean `skip_properties`?"),
        ({"something_else": 1}, "There is no setting `something_else`."),
        (
            {"event_names": [{"from": "a", "to": "b", "too": "c"}]},
            "There is no setting `event_names.0.too`. Did you mean `to`?",
        ),
        ({"streams": {"s": {"distinct": "a"}}}, "`streams`, s, distinct: there is no such part"),
        (
            {"free_order": "collect", "user_properties": "set_once"},
            "`free_order` cannot act with `user_properties: set_once`",
        ),
        (
            {"free_order": "collect", "remove_batch_files": True},
            "`remove_batch_files` cannot act with `free_order: collect`",
        ),
        (
            {"max_batch_bytes": 19_000_000, "protocol": "v1"},
            "`max_batch_bytes` can be at most 9437184 with `protocol: v1`",
        ),
    ],
)
def test_what_is_unknown_or_cannot_act_is_refused(settings: Json, words: str) -> None:
    """With the nearest name that there is."""
    assert words in complaint(**settings)


FORMATS = ("auto", "amplitude", "fields", "posthog")
#: A sound value of every setting that is a wish about events or their sending.
WISHES: Json = {
    "streams": {"orders": {"distinct_id": "buyer"}},
    "unmapped_streams": "guess",
    "identity_events": "identify",
    "event_names": [{"from": "a", "to": "b"}],
    "standard_events": True,
    "skip_events": ["a"],
    "property_names": [{"from": "a", "to": "b"}],
    "skip_properties": ["a"],
    "person_profiles": "identified_only",
    "user_properties": "set_once",
    "historical_migration": "auto",
    "max_reject_ratio": 0.5,
    "max_batch_bytes": 1024,
    "max_batch_events": 10,
    "max_events_per_second": 10,
    "max_retry_seconds": 10,
    "workers": 2,
    "max_member_gb": 5,
    "remove_batch_files": True,
    "check_api_key": False,
    "free_order": "apply",
    "rejects_path": "r",
    "summary_path": "s.json",
    "ledger_url": "sqlite:///l.db",
    "host": "https://eu.i.posthog.com",
    "app_host": "https://eu.posthog.com",
    "project_id": "12345",
    "personal_api_key": "phx_abc",
}
#: In which formats they cannot act; the others do in each (see test_property_settings.py).
REFUSED = dict.fromkeys(("streams", "unmapped_streams"), ("amplitude", "posthog"))


@pytest.mark.parametrize("preview", [{}, {"preview_path": "p"}], ids=["send", "preview"])
@pytest.mark.parametrize("protocol", ["batch", "v1"])
@pytest.mark.parametrize("source_format", FORMATS)
@pytest.mark.parametrize("name", sorted(WISHES))
def test_a_setting_acts_or_is_refused(
    name: str, source_format: str, protocol: str, preview: Json
) -> None:
    """By format, protocol and preview: never is one dropped in silence."""
    settings = {name: WISHES[name], "source_format": source_format, "protocol": protocol, **preview}
    if source_format in REFUSED.get(name, ()):
        told = complaint(**settings)
        assert f"`{name}` cannot act with `source_format: {source_format}`" in told
    else:
        checked(**settings)


def test_every_setting_is_a_wish_or_says_what_wishes_are_about() -> None:
    """A new one must be thought of here."""
    about = {"api_key", "preview_path", "protocol", "source_format"}
    own = {name for name in SETTINGS["properties"] if not name.startswith(_OF_THE_SDK)}
    assert own == about | WISHES.keys()


_OF_THE_SDK = ("stream_map", "faker_config", "flattening_", "add_record_metadata")


def test_several_problems_are_told_at_once() -> None:
    """Not one per run."""
    told = complaint(api_key="phx_hush", host="ftp://x", max_batch_events=0, max_reject_ratio=2)
    for words in ("personal API key", "`host` is", "_batch_events` must", "max_reject_ratio` must"):
        assert words in told
    told = complaint(source_format="x", identity_events="y", max_batch_bytes="z")
    for words in ("`source_format` must", "`identity_events` must", "`max_batch_bytes` is"):
        assert words in told


@pytest.mark.parametrize("name", sorted(SETTINGS["properties"]))
@pytest.mark.parametrize("value", [{"hush": ["hushhush"]}, ["hushhush"], "hushhush:hushhush"])
def test_a_refused_value_is_never_shown(name: str, value: object) -> None:
    """A key may have been put into the wrong setting."""
    config = {**SOUND, name: value}
    problems = checked_config(config, SETTINGS, raise_errors=False)
    assert "hush" not in " ".join(problems)


def test_settings_in_a_traceback_show_nothing_of_their_values() -> None:
    """Keys, and passwords in addresses."""
    settings = Settings.read(checked(api_key="phc_hidden", ledger_url="postgresql://me:hidden@h/d"))
    assert "hidden" not in f"{settings} {settings!r}"


def test_problems_can_be_asked_for_without_a_stop() -> None:
    """`--about` and tests of other tools do so."""
    problems = checked_config({"api_key": "phx_x"}, SETTINGS, raise_errors=False)
    assert len(problems) == 1


def test_a_decimal_of_a_file_is_a_number() -> None:
    """The SDK reads one as a Decimal, with which no time can be counted and no JSON written."""
    config: Json = {
        "api_key": "phc_x",
        "max_events_per_second": Decimal("1.5"),
        "streams": {"s": {"event": {"value": "e"}, "properties": {"a": {"value": Decimal("0.5")}}}},
        "skip_events": [Decimal("2.5")],
    }
    checked_config(config, SETTINGS, raise_errors=False)
    assert json.dumps([config["max_events_per_second"], config["streams"], config["skip_events"]])
    assert type(config["max_events_per_second"]) is float
