"""What a run has found, as it is kept in JSON: the table and the plot are made of nothing else."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel

from .spread import Spread

Form = Literal["short", "full"]


class SideResult(BaseModel):
    """What one side has measured, round by round, or why it has not."""

    name: str
    note: str = ""
    events: int = 0
    rounds: list[dict[str, float]] = []
    missing: str = ""

    def spread(self, value: str) -> Spread | None:
        """Of one of the values, if it was measured."""
        found = [values[value] for values in self.rounds if value in values]
        return Spread.of(found) if found else None


class GoalResult(BaseModel):
    """A figure, round by round, and what it must reach."""

    name: str
    floor: float | None = None
    aim: float | None = None
    most: bool = False
    unit: str = "×"
    values: list[float] = []

    @property
    def spread(self) -> Spread | None:
        """None when it was not measured."""
        return Spread.of(self.values) if self.values else None

    @property
    def verdict(self) -> str:
        """Whether the median reaches the floor, and the aim; empty when nothing is asked."""
        spread = self.spread
        if spread is None:
            return "not measured"
        if self.aim is not None and spread.reaches(self.aim, most=self.most):
            return "met, and the aim"
        if self.floor is None:
            return ""
        return "met" if spread.reaches(self.floor, most=self.most) else "NOT met"


class CaseResult(BaseModel):
    """A row, or the few that are measured together."""

    name: str
    title: str
    value: str
    sides: list[SideResult] = []
    goals: list[GoalResult] = []
    missing: str = ""
    failed: bool = False


class Results(BaseModel):
    """A run: where, with what, and what came of it."""

    form: Form
    day: str
    machine: dict[str, str]
    versions: dict[str, str]
    cases: list[CaseResult] = []

    @classmethod
    def read(cls, path: Path) -> Self:
        """From JSON."""
        return cls.model_validate_json(path.read_text())

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(self.model_dump_json(indent=1, exclude_defaults=True) + "\n")

    def over(self, older: "Results", order: Sequence[str]) -> "Results":
        """With the cases of an older run that this one has not measured, in this order.

        Only of the same form and machine: figures from elsewhere have no place in one table.
        """
        if (older.form, older.machine) != (self.form, self.machine):
            return self
        cases = {case.name: case for case in [*older.cases, *self.cases]}
        kept = [cases[name] for name in order if name in cases]
        return self.model_copy(update={"cases": kept, "versions": older.versions | self.versions})
