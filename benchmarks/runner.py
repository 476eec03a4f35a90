"""Runs cases: all sides in turn, round after round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .brokers import Brokers
from .case import Case, Goal, Jobs, Round, Setting, Side
from .processes import ProgramFailed, measured
from .results import CaseResult, GoalResult, SideResult
from .unavailable import Unavailable


@dataclass(frozen=True)
class Extent:
    """How much to measure. events, rounds: instead of what the case and the form say."""

    full: bool = False
    events: int | None = None
    rounds: int | None = None

    def of(self, case: Case) -> tuple[int, int]:
        """How many events, and how many rounds."""
        events = self.events or (case.events if self.full else case.short)
        rounds = self.rounds or min(5 if self.full else 3, case.rounds or 5)
        return events, rounds


class Runner:
    """Measures one case after the other. told: takes a line on each round."""

    def __init__(self, brokers: Brokers, extent: Extent, told: Callable[[str], None]) -> None:
        self._brokers, self._extent, self._told = brokers, extent, told

    async def run(self, case: Case) -> CaseResult:
        """Every side in turn in every round, in the opposite order in every second one.

        A machine that gets slower or faster meanwhile does the same to all of them. What cannot
        be had is said in the result, and so is what fails; the rest is measured all the same.
        """
        events, rounds = self._extent.of(case)
        result = CaseResult(name=case.name, title=case.title, value=case.value)
        sides = {
            side.name: SideResult(name=side.name, note=side.note, events=side.events(events))
            for side in case.sides
        }
        try:
            async with case.stage(Setting(self._brokers, case, events)) as jobs:
                found = [await self._round(case, jobs, sides, number) for number in range(rounds)]
        except Unavailable as reason:
            return result.model_copy(update={"missing": str(reason)})
        result.sides = list(sides.values())
        result.goals = [_goal(goal, found) for goal in case.goals]
        result.failed = any(side.missing.startswith(FAILED) for side in result.sides)
        return result

    async def _round(
        self, case: Case, jobs: Jobs, results: dict[str, SideResult], number: int
    ) -> Round:
        present = [side for side in case.sides if _present(side, results[side.name])]
        made = await jobs(present)
        found: dict[str, dict[str, float]] = {}
        for side in present if number % 2 == 0 else reversed(present):
            result = results[side.name]
            try:
                found[side.name] = await measured(made[side.name], side.environment)
            except ProgramFailed as failure:
                result.missing = f"{FAILED} {failure}"
                self._told(f"  {case.name}: {side.name} {result.missing}")
            else:
                result.rounds.append(found[side.name])
                self._told(f"  {case.name}, round {number + 1}: {side.name} {found[side.name]}")
        return found


FAILED = "failed:"


def _present(side: Side, result: SideResult) -> bool:
    if not result.missing:
        try:
            side.environment.interpreter()
        except Unavailable as reason:
            result.missing = str(reason)
    return not result.missing


def _goal(goal: Goal, rounds: Sequence[Round]) -> GoalResult:
    figures = [goal.figure(found) for found in rounds]
    return GoalResult(
        name=goal.name,
        floor=goal.floor,
        aim=goal.aim,
        most=goal.most,
        unit=goal.unit,
        values=[figure for figure in figures if figure is not None],
    )
