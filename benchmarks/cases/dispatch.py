"""Dispytch alone, in one process."""

from ..case import Case, Goal, Side, value
from ..stages import nothing

DISPATCH = Case(
    "dispatch",
    "In process: dispatch without a broker, per event",
    nothing(),
    (
        Side("one dependency", "dispatch:without_broker", {"shape": "one"}),
        Side("two nested, a middleware", "dispatch:without_broker", {"shape": "nested"}),
        Side(
            "one dependency, in memory",
            "dispatch:in_memory",
            {"shape": "one"},
            note="with the in-memory broker, whose events all wait in memory before",
        ),
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
        Goal(
            "one dependency with the in-memory broker, beyond validation",
            value("one dependency, in memory", "beyond"),
            unit=" µs",
        ),
    ),
    value="beyond",
)

CASES = (DISPATCH,)
