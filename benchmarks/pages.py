"""The documentation's part: docs/benchmarks.json, and from it the table and the plot."""

from collections.abc import Sequence
from pathlib import Path

from .report import table
from .results import Results

DOCS = Path(__file__).parents[1] / "docs"
BEGIN, END = "<!-- results: written by `hatch run bench --write-docs` -->", "<!-- end -->"


def write_docs(results: Results, order: Sequence[str]) -> None:
    """Keep the results; what was not measured anew stays, if it is of the same machine and form."""
    from .plot import draw

    kept = DOCS / "benchmarks.json"
    if kept.exists():
        results = results.over(Results.read(kept), order)
    results.write(kept)
    draw(results, DOCS / "benchmarks.svg")
    page = DOCS / "benchmarks.md"
    page.write_text(with_results(page.read_text(), results))


def with_results(page: str, results: Results) -> str:
    """The page, with these results between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table(results)}\n{END}{after}"
