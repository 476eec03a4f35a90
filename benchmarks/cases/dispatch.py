"""The engine alone, without a broker."""

from ..case import Case, Goal, Side, value
from ..stages import nothing

DISPATCH = Case(
    "dispatch",
    "In process: dispatch in memory, per event",
    nothing(),
    (
        Side("one dependency", "dispatch:dispatch", {"shape": "one"}),
        Side("two nested, a middleware", "dispatch:dispatch", {"shape": "nested"}),
    ),
    (
        Goal(
            "one dependency, beyond validation",
            value("one dependency", "beyond"),
            8,
            4,
            most=True,
            unit=" µs",
        ),
        Goal(
            "two nested and a middleware, beyond validation",
            value("two nested, a middleware", "beyond"),
            12,
            4,
            most=True,
            unit=" µs",
        ),
    ),
    value="beyond",
)

CASES = (DISPATCH,)
