"""The few questions to a running Dagster that a backfill needs, over the API of its own pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Sequence

ASSET = "posthog_events"
_LAUNCH = """
mutation Launch($keys: [String!]!, $asset: String!) {
  launchPartitionBackfill(
    backfillParams: {partitionNames: $keys, assetSelection: [{path: [$asset]}]}
  ) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""
_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status }
  }
}
"""
_RUNS = """
query { runsOrError { ... on Runs { results { runId status tags { key value } } } } }
"""
_PARTITIONS = """
query Partitions($asset: String!) {
  assetNodeOrError(assetKey: {path: [$asset]}) { ... on AssetNode { partitionKeys } }
}
"""
_STATE = """
query State($asset: String!) {
  assetNodeOrError(assetKey: {path: [$asset]}) {
    ... on AssetNode { partitionStats { numMaterialized numFailed numPartitions } }
  }
  assetCheckExecutions(assetKey: {path: [$asset]}, checkName: "whole_migration", limit: 1) {
    status
    evaluation { success description }
  }
}
"""


class NotAnswered(Exception):
    """Dagster is not there yet, or does not do what it was asked for."""


class DagsterApi:
    """Dagster's API.

    Args:
        address: of its web server, without a slash at the end.
        asset: whose hours are asked about.
    """

    def __init__(self, address: str, asset: str = ASSET) -> None:
        self._url = f"{address}/graphql"
        self._asset = asset

    def is_ready(self) -> bool:
        """Return True if it has loaded the asset."""
        try:
            return bool(self.partitions())
        except (NotAnswered, requests.RequestException):
            return False

    def partitions(self) -> list[str]:
        """Return the hours of the migration, in order."""
        node = self._ask(_PARTITIONS, asset=self._asset)["assetNodeOrError"]
        return list(node.get("partitionKeys", []))

    def launch_backfill(self, keys: Sequence[str]) -> str:
        """Start a backfill of some hours; return its id."""
        told = self._ask(_LAUNCH, keys=list(keys), asset=self._asset)["launchPartitionBackfill"]
        if "backfillId" not in told:
            raise NotAnswered(str(told))
        return str(told["backfillId"])

    def status_of(self, backfill: str) -> str:
        """Return how far a backfill is, such as `REQUESTED` or `COMPLETED_SUCCESS`."""
        return str(self._ask(_STATUS, id=backfill)["partitionBackfillOrError"].get("status"))

    def runs(self) -> list[dict[str, Any]]:
        """Return the id, the status and the tags of all runs, the oldest first."""
        runs = self._ask(_RUNS)["runsOrError"]["results"]
        for run in runs:
            run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]}
        return list(reversed(runs))

    def state(self) -> dict[str, Any]:
        """Return how many hours are delivered, and what the check of the book said last."""
        return self._ask(_STATE, asset=self._asset)

    def _ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        told = requests.post(self._url, json=body, timeout=60).json()
        if told.get("errors"):
            raise NotAnswered(str(told["errors"]))
        return dict(told["data"])
