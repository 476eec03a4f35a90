"""What an import costs."""

from ..case import Case, Goal, Side, ratio, value
from ..stages import nothing

IMPORTS = Case(
    "import",
    "`import dispytch`",
    nothing(),
    (
        Side("dispytch", "imports:imported", {"statement": "import dispytch"}),
        Side(
            "pydantic",
            "imports:imported",
            {"statement": "from pydantic import BaseModel, TypeAdapter"},
            note="`import pydantic` alone is lazy, and imports next to nothing",
        ),
    ),
    (
        Goal("of pydantic", ratio("dispytch", "pydantic", of="ms"), 1.3, most=True),
        Goal("drivers imported", value("dispytch", "drivers"), 0, most=True, unit=""),
    ),
    value="ms",
)

CASES = (IMPORTS,)
