"""The table, in Markdown."""

from collections.abc import Iterable, Iterator

from .results import CaseResult, GoalResult, Results, SideResult
from .spread import Spread


def table(results: Results) -> str:
    """Where and with what it ran, what was asked, and what each side did."""
    parts = [_heading(results), _goals(results.cases), _sides(results.cases)]
    return "\n\n".join(part for part in parts if part) + "\n"


def judged(case: CaseResult) -> str:
    """What came of one case, for the terminal."""
    return "\n".join(["", case.title, *_lines(case)])


def number(value: float) -> str:
    """With three significant digits or more: 53,412; 12.3; 0.412."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _heading(results: Results) -> str:
    where = "; ".join(f"{name}: {said}" for name, said in results.machine.items())
    what = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return f"Measured on {results.day}, {results.form} form. {where}.\n\nVersions: {what}."


def _goals(cases: Iterable[CaseResult]) -> str:
    rows = [_goal_row(case, goal) for case in cases for goal in case.goals]
    missing = [
        [case.title, "not measured", "", "", "", case.missing] for case in cases if case.missing
    ]
    return _markdown(
        ["Case", "Figure", "Median (lowest–highest)", "Must", "Aim", ""], rows + missing
    )


def _goal_row(case: CaseResult, goal: GoalResult) -> list[str]:
    shown = _spread(goal.spread, goal.unit)
    return [
        case.title,
        goal.name,
        shown,
        _mark(goal, goal.floor),
        _mark(goal, goal.aim),
        goal.verdict,
    ]


def _sides(cases: Iterable[CaseResult]) -> str:
    rows = [row for case in cases for row in _side_rows(case)]
    return _markdown(["Case", "Side", "Events", "Measured (lowest–highest)", "Note"], rows)


def _side_rows(case: CaseResult) -> Iterator[list[str]]:
    for side in case.sides:
        notes = "; ".join(note for note in (side.note, side.missing) if note)
        yield [case.title, side.name, f"{side.events:,}", "; ".join(_values(side)), notes]


def _values(side: SideResult) -> Iterator[str]:
    for name in side.rounds[0] if side.rounds else ():
        yield _spread(side.spread(name), UNITS.get(name, f" {name}"))


def _lines(case: CaseResult) -> Iterator[str]:
    if case.missing:
        yield f"  not measured: {case.missing}"
    for side in case.sides:
        yield f"  {side.name:34} {'; '.join(_values(side)) or side.missing}"
    for goal in case.goals:
        marks = [f"must {_mark(goal, goal.floor)}"] if goal.floor is not None else []
        marks += [f"aim {_mark(goal, goal.aim)}"] if goal.aim is not None else []
        said = ", ".join([*marks, goal.verdict]).strip(", ")
        yield f"  > {goal.name}: {_spread(goal.spread, goal.unit)}{f'  [{said}]' if said else ''}"


def _spread(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return "–"
    low, middle, high = number(spread.low), number(spread.median), number(spread.high)
    around = f" ({low}–{high})" if low != high else ""
    return f"{middle}{unit}{around}"


def _mark(goal: GoalResult, mark: float | None) -> str:
    return "" if mark is None else f"{'≤' if goal.most else '≥'} {number(mark)}{goal.unit}"


def _markdown(heads: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *_once(rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _once(rows: list[list[str]]) -> Iterator[list[str]]:
    """A title that is the same as in the row above is omitted."""
    above = ""
    for title, *rest in rows:
        yield ["" if title == above else title, *rest]
        above = title


UNITS = {
    "rate": "/s",
    "cpu": " µs CPU",
    "p50": " ms p50",
    "p99": " ms p99",
    "beyond": " µs beyond validation",
    "validation": " µs validation",
    "us": " µs",
    "percent": " % of a core",
    "peak": " MiB",
    "ms": " ms",
    "drivers": " drivers imported",
}
