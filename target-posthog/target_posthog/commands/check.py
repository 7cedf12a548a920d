"""The command `target-posthog-check`: all that can be known before the first event, at once."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from target_posthog.commands.options import given_of, plugin_command, program_of
from target_posthog.common.findings import as_json, as_text, exit_code_of
from target_posthog.common.signals import StoppedBySignal
from target_posthog.errors import NotAsked
from target_posthog.preflight.check import check
from target_posthog.sdk import SingerPlugin


@plugin_command("target-posthog-check")
@click.option("--json", "is_json", is_flag=True, help="Print the findings as JSON.")
def command(config: Any, *, is_json: bool) -> int:
    """Check everything that can be known before the first event is sent.

    Nothing is sent to PostHog but the token and a request without events. The exit code is 2 when
    something must be fixed, 1 when something could not be asked, else 0.
    """
    program = f"{SingerPlugin.name}/{SingerPlugin.plugin_version}"
    try:
        findings = check(given_of(config), program)
    except StoppedBySignal as signal:
        raise NotAsked(f"Stopped by {signal}.", "Run again to check.") from None
    if is_json:
        click.echo(json.dumps(as_json(findings), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(findings, colours="NO_COLOR" not in os.environ))
    return exit_code_of(findings)


main = program_of(command)
