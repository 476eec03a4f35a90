"""Several processes of one group."""

from ..case import Case, Figure, Goal, Round, Side
from ..stages import filled

NAMES = {count: f"{count} process{'es' if count > 1 else ''}" for count in (1, 2, 4)}


def of_what_the_cores_allow(count: int) -> Figure:
    """What so many processes do, of what one does times as many as the machine can feed.

    One process, with the broker's work for it, keeps so many cores busy; once all of them are,
    more processes cannot do more.
    """

    def figure(found: Round) -> float | None:
        one, several = found.get(NAMES[1]), found.get(NAMES[count])
        if one is None or several is None:
            return None
        allowed = min(count, max(1.0, one["cores"] / one["busy"]))
        return several["rate"] / (one["rate"] * allowed)

    return figure


SCALE = Case(
    "scale-out",
    "Scale out: 1, 2 and 4 processes on 8 partitions",
    filled("kafka", "partitions=8"),
    tuple(Side(NAMES[count], "scale:listeners", {"processes": count}) for count in NAMES),
    tuple(
        Goal(f"{NAMES[count]}, of what the cores allow", of_what_the_cores_allow(count), 0.9)
        for count in (2, 4)
    ),
    events=400_000,
    short=100_000,
)

CASES = (SCALE,)
