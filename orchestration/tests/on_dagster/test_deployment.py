"""The files for an image, for Dagster's chart and for Kubernetes say what the code does."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient

from migration.partition import EXIT_CODES

_ORCHESTRATION = Path(__file__).parents[2]


def _read(name: str) -> Any:
    return yaml.safe_load((_ORCHESTRATION / name).read_text())


def test_the_job_is_one_that_kubernetes_knows() -> None:
    """No key of it is unknown: a key with a typing error would be left out without a word."""
    job = _read("on_kubernetes/job.yaml")
    api = ApiClient()
    known = api.deserialize(SimpleNamespace(data=json.dumps(job)), "V1Job")
    assert api.sanitize_for_serialization(known) == job


def test_the_job_repeats_what_may_help_and_nothing_else() -> None:
    """Exit code 1 is a range that was stopped; 2 and 3 are for a person."""
    spec = _read("on_kubernetes/job.yaml")["spec"]
    rules = spec["podFailurePolicy"]["rules"]
    [on_codes] = [rule for rule in rules if "onExitCodes" in rule]
    assert on_codes["action"] == "FailIndex"
    assert set(on_codes["onExitCodes"]["values"]) == {EXIT_CODES["fix"], EXIT_CODES["look"]}
    [container] = spec["template"]["spec"]["containers"]
    assert on_codes["onExitCodes"]["containerName"] == container["name"]
    assert container["args"] == ["--number", "$(JOB_COMPLETION_INDEX)", "--in-order"]
    assert (spec["completionMode"], spec["parallelism"], spec["maxFailedIndexes"]) == (
        "Indexed",
        1,
        0,
    )


def test_the_chart_has_what_the_instance_has() -> None:
    """Values for Helm stand in another form, and would drift."""
    instance, values = _read("dagster.yaml"), _read("helm-values.yaml")
    daemon = values["dagsterDaemon"]
    assert _snake(daemon["runMonitoring"]) == instance["run_monitoring"]
    assert _snake(daemon["runRetries"]) == instance["run_retries"]
    assert values["additionalInstanceConfig"]["concurrency"] == instance["concurrency"]


def test_the_image_and_the_chart_load_the_module_that_the_workspace_loads() -> None:
    """One code location, wherever it runs."""
    [location] = _read("workspace.yaml")["load_from"]
    module = location["python_module"]["module_name"]
    assert hasattr(importlib.import_module(module), "defs")
    [deployment] = _read("helm-values.yaml")["dagster-user-deployments"]["deployments"]
    assert deployment["codeServerArgs"] == ["--module-name", module]
    assert f'"{module}"' in (_ORCHESTRATION / "Dockerfile").read_text()


@pytest.mark.parametrize("name", ["Dockerfile", "on_kubernetes/job.yaml"])
def test_the_interpreter_of_the_ranges_is_the_one_of_the_image(name: str) -> None:
    """What a pod runs is what the image has."""
    assert "/opt/dagster/bin/python" in (_ORCHESTRATION / name).read_text()


def test_each_file_that_the_image_takes_is_there() -> None:
    """A build would find it late."""
    text = (_ORCHESTRATION / "Dockerfile").read_text()
    names = [
        name for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for name in line.split()
    ]
    assert len(names) >= 8
    assert [name for name in names if not (_ORCHESTRATION.parent / name).exists()] == []


def _snake(values: dict[str, Any]) -> dict[str, Any]:
    return {
        re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): value
        for name, value in values.items()
    }
