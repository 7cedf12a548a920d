"""Amplitude asked for one hour: whether keys and region are right, and what an hour weighs."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from tap_amplitude.common.findings import Finding, Level
from tap_amplitude.common.quantities import count
from tap_amplitude.errors import DiskFull, RunAgain, TapError, WrongCredentials
from tap_amplitude.preflight.sampler import HourSampler
from tap_amplitude.settings import REGION_URLS
from tap_amplitude.validation import sends_keys_in_clear
from tap_amplitude.windows import hour_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from tap_amplitude.preflight.sampler import SampledHour
    from tap_amplitude.preflight.weight import Weight
    from tap_amplitude.settings import Settings

logger = logging.getLogger("tap-amplitude.check")

#: Somebody waits before a screen: a service that is away this long is away.
PATIENCE_SECONDS = 30


class AmplitudeQuestions:
    """What is asked of Amplitude's Export API.

    Args:
        regions: Amplitude's addresses, by which keys of the other region are found.
        patience_seconds: How long to try while Amplitude or the network fails.
    """

    def __init__(
        self,
        settings: Settings,
        user_agent: str,
        *,
        regions: Mapping[str, str] = MappingProxyType(REGION_URLS),
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._settings = settings
        self._user_agent = user_agent
        self._regions = regions
        self._patience = min(patience_seconds, settings.retry_seconds)

    def findings(self, hour: datetime) -> Iterator[Finding]:
        """Yield what an hour tells: where Amplitude is, whether it knows the keys, what came."""
        yield from self._address()
        logger.info(
            "Asking Amplitude for the events of %s; a busy hour takes a while.", hour_text(hour)
        )
        try:
            sampled = self.ask(hour)
        except WrongCredentials as error:
            yield self._elsewhere(hour) or Finding("keys", Level.FIX, error.happened, error.remedy)
        except TapError as error:
            yield finding_of(error, "amplitude")
        else:
            yield Finding("keys", Level.OK, f"Amplitude accepts both keys ({self._place()}).")
            yield from _of_hour(sampled)

    def ask(self, hour: datetime) -> SampledHour:
        """Ask for one hour.

        Raises:
            TapError: It cannot be had.
        """
        with closing(HourSampler(self._settings, self._user_agent, self._patience)) as sampler:
            return sampler.ask(hour)

    def _address(self) -> Iterator[Finding]:
        url = self._settings.base_url
        yield Finding("address", Level.OK, f"Amplitude is asked at {url} ({self._place()}).")
        if sends_keys_in_clear(url):
            yield Finding(
                "address",
                Level.NOTE,
                "The keys and the answers travel unencrypted.",
                "Give `api_url` with https://.",
            )

    def _place(self) -> str:
        names = {url: region for region, url in self._regions.items()}
        region = names.get(self._settings.base_url)
        return f"`region: {region}`" if region else "`api_url`"

    def _elsewhere(self, hour: datetime) -> Finding | None:
        """Return what to say of keys that the other region knows."""
        own = self._settings.base_url
        for region, url in self._regions.items():
            if url == own or own not in self._regions.values():
                continue
            there = AmplitudeQuestions(
                replace(self._settings, base_url=url),
                self._user_agent,
                regions=self._regions,
                patience_seconds=self._patience,
            )
            try:
                there.ask(hour)
            except TapError:
                continue
            return Finding(
                "keys",
                Level.FIX,
                f"They are those of a project in `region: {region}`; {self._place()} refuses them.",
                f"Set `region` to `{region}`.",
            )
        return None


def finding_of(error: TapError, area: str) -> Finding:
    """Return a failure as a finding."""
    passes = isinstance(error, RunAgain) and not isinstance(error, DiskFull)
    level = Level.UNKNOWN if passes else Level.FIX
    return Finding(area, level, error.happened, error.remedy)


def _of_hour(sampled: SampledHour) -> Iterator[Finding]:
    window = str(sampled.window)
    what = f"{window[:1].upper()}{window[1:]}"
    how = f" (asked for in {sampled.seconds:.1f} s)"
    if sampled.weight.files:
        yield from weight_findings("amplitude", what, sampled.weight, how)
    else:
        yield Finding("amplitude", Level.OK, f"{what}: no events{how}.")


def weight_findings(area: str, what: str, weight: Weight, how: str = "") -> Iterator[Finding]:
    """Say what was read; none of it is shown."""
    yield Finding(
        area,
        Level.OK,
        f"{what}: {count(weight.rows, 'event')}, {weight.packed_bytes / 1e6:,.2f} MB packed, "
        f"{weight.unpacked_bytes / 1e6:,.2f} MB unpacked{how}.",
    )
    if weight.bad_lines:
        yield Finding(
            area,
            Level.FIX,
            f"{weight.bad_lines:,} of {weight.rows + weight.bad_lines:,} lines are not events.",
            "With `on_bad_line: reject` they are kept aside; with `fail` a run stops there.",
        )
