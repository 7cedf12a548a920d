"""Charts drawn as SVG: by Vega-Lite, in this process, without a browser and without the network.

The drawing is a part of the page. So the page needs no script, and its policy forbids any.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from target_posthog.errors import FixConfiguration
from target_posthog.report.charts import COLOURS

if TYPE_CHECKING:
    from target_posthog.report.charts import Chart

#: What Vega says of a mark, which is shown where the mouse stands.
_MARK = re.compile(r'<path aria-label="([^"]*)"([^>]*)/>')
_HEAD = re.compile(r"<svg[^>]*?viewBox=\"([^\"]*)\">")


def drawn(chart: Chart, kind: str) -> str:
    """Return a chart as an SVG element.

    Raises:
        FixConfiguration: the package that draws is not installed.
    """
    try:
        # Loaded only here: it is an extra, and 100 MB.
        import vl_convert  # noqa: PLC0415
    except ImportError:
        raise FixConfiguration(
            "The charts of a report need the package `vl-convert-python`, which is not installed.",
            "Run `pip install 'target-posthog[report]'`; with Meltano, add the extra to `pip_url` "
            "in meltano.yml, `-e ./target-posthog[report]`, and run `meltano install`.",
        ) from None
    svg = vl_convert.vegalite_to_svg(chart.spec)
    for name, variable in COLOURS.items():
        svg = svg.replace(f'"{name}"', f'"{variable}"')
    head = (
        f'<svg class="{kind}" role="img" aria-label="{escape(chart.label)}" viewBox="\\1" '
        'xmlns="http://www.w3.org/2000/svg">'
    )
    svg = _HEAD.sub(head, svg, count=1)
    return _MARK.sub(r"<path\2><title>\1</title></path>", svg)
