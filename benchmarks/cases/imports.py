"""What an import costs."""

from ..case import Case, Goal, Side, ratio, value
from ..stages import nothing

IMPORTS = Case(
    "import",
    "`import dispytch`",
    nothing(),
    (
        Side("dispytch", "imports:imported", {"statement": "import dispytch"}),
        Side("pydantic", "imports:imported", {"statement": "import pydantic"}),
        Side(
            "what a service uses",
            "imports:imported",
            {
                "statement": "from dispytch import Dependency, Event, EventBase, EventEmitter, "
                "EventListener, HandlerGroup"
            },
            note="both packages import their names when they are first asked for; this is with all",
        ),
        Side(
            "what that uses of pydantic",
            "imports:imported",
            {"statement": "import asyncio; from pydantic import BaseModel, TypeAdapter"},
        ),
    ),
    (
        Goal("of pydantic", ratio("dispytch", "pydantic", of="ms"), 1.3, most=True),
        Goal("drivers imported", value("what a service uses", "drivers"), 0, most=True, unit=""),
        Goal(
            "all that a service uses, of pydantic and asyncio alone",
            ratio("what a service uses", "what that uses of pydantic", of="ms"),
            None,
            most=True,
        ),
    ),
    value="ms",
)

CASES = (IMPORTS,)
