"""The plot: what each side does per second, case by case."""

from pathlib import Path

import matplotlib

from .report import number
from .results import CaseResult, Results, SideResult

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "dispytch", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot  # noqa: E402 - the backend is chosen first
from matplotlib.axes import Axes  # noqa: E402

OURS, THEIRS = "#2563eb", "#94a3b8"


def draw(results: Results, path: Path) -> None:
    """Bars of the medians, with the lowest and the highest round, into an SVG file."""
    cases = [case for case in results.cases if case.value == "rate" and _shown(case)]
    if not cases:
        return
    heights = [len(_shown(case)) + 1.2 for case in cases]
    figure, rows = pyplot.subplots(
        len(cases),
        figsize=(8, 0.28 * sum(heights)),
        squeeze=False,
        height_ratios=heights,
        layout="constrained",
    )
    for case, (axes,) in zip(cases, rows, strict=True):
        _bars(axes, case)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _shown(case: CaseResult) -> list[SideResult]:
    return [side for side in case.sides if side.spread(case.value)]


def _bars(axes: Axes, case: CaseResult) -> None:
    sides = _shown(case)
    found = [spread for side in sides if (spread := side.spread(case.value))]
    medians = [spread.median for spread in found]
    around = [
        [spread.median - spread.low for spread in found],
        [spread.high - spread.median for spread in found],
    ]
    colours = [OURS if side is sides[0] else THEIRS for side in sides]
    bars = axes.barh([side.name for side in sides], medians, xerr=around, color=colours)
    axes.bar_label(bars, [f" {number(middle)}/s" for middle in medians])
    axes.set_title(case.title.replace("`", ""), loc="left")
    axes.invert_yaxis()
    axes.margins(x=0.18)
    axes.xaxis.set_visible(False)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
