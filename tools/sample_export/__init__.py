"""Makes up an Amplitude export whose truth is known; tests, the demo and the benchmark use it.

Pure and deterministic: the same arguments give the same rows, and with them the same files.
"""

from __future__ import annotations

from tools.sample_export.files import write_folder, write_zip
from tools.sample_export.generator import SampleExport, generate
from tools.sample_export.rows import Row
from tools.sample_export.truth import Outcome, Trouble, Truth

__all__ = [
    "Outcome",
    "Row",
    "SampleExport",
    "Trouble",
    "Truth",
    "generate",
    "write_folder",
    "write_zip",
]
