"""The pure parts of the benchmarks: what several rounds say, what is met, and how it is shown."""

import pytest

from benchmarks.case import difference, ratio, thrift, value
from benchmarks.guard import grown
from benchmarks.pages import BEGIN, END, with_results
from benchmarks.programs.progress import Progress, rate
from benchmarks.report import number, table
from benchmarks.results import CaseResult, GoalResult, Results, SideResult
from benchmarks.spread import Spread

ROUND = {"ours": {"rate": 60.0, "p99": 3.0}, "slow": {"rate": 20.0}, "fast": {"rate": 30.0}}


class TestFigures:
    def test_a_ratio_is_to_the_best_of_those_that_are_present(self) -> None:
        assert ratio("ours", "slow", "fast", "absent")(ROUND) == 2.0

    def test_there_is_no_ratio_without_the_other_side(self) -> None:
        assert ratio("ours", "absent")(ROUND) is None

    def test_there_is_no_figure_without_our_side(self) -> None:
        assert ratio("absent", "fast")(ROUND) is None
        assert value("absent", "rate")(ROUND) is None
        assert difference("absent", "ours", "p99")(ROUND) is None

    def test_a_value_may_be_a_part_of_the_ideal(self) -> None:
        assert value("ours", "rate", over=120.0)(ROUND) == 0.5

    def test_thrift_is_measured_by_the_cheapest_of_those_that_are_present(self) -> None:
        found = {"ours": {"cpu": 10.0}, "dear": {"cpu": 40.0}, "cheap": {"cpu": 5.0}}
        assert thrift("ours", "dear", "cheap", "absent")(found) == 0.5
        assert thrift("ours", "absent")(found) is None

    def test_a_difference(self) -> None:
        assert difference("ours", "fast", "rate")(ROUND) == 30.0


class TestVerdicts:
    @pytest.mark.parametrize(
        ("values", "verdict"),
        [
            ([0.3, 0.5, 9.0], "met"),
            ([0.3, 0.39, 9.0], "NOT met"),
            ([0.6], "met, and the aim"),
            ([], "not measured"),
        ],
    )
    def test_the_median_must_reach_the_floor(self, values: list[float], verdict: str) -> None:
        goal = GoalResult(name="of raw", floor=0.4, aim=0.6, values=values)
        assert goal.verdict == verdict

    def test_of_what_must_be_little_the_median_is_at_most_the_floor(self) -> None:
        assert GoalResult(name="p99", floor=2, most=True, values=[2.0]).verdict == "met"
        assert GoalResult(name="p99", floor=2, most=True, values=[2.1]).verdict == "NOT met"

    def test_what_is_only_shown_is_not_judged(self) -> None:
        assert GoalResult(name="of batches", values=[1.0]).verdict == ""


def test_a_spread_is_a_median_between_extremes() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("given", "shown"), [(53412.3, "53,412"), (12.345, "12.3"), (0.4123, "0.412"), (100, "100")]
)
def test_numbers_have_the_digits_that_mean_something(given: float, shown: str) -> None:
    assert number(given) == shown


def results(*cases: CaseResult, cores: str = "2") -> Results:
    return Results(
        form="full",
        day="2026-01-31",
        machine={"Processor": f"{cores} cores"},
        versions={"pydantic": "2"},
        cases=list(cases),
    )


CONSUME = CaseResult(
    name="consume",
    title="Consume",
    value="rate",
    sides=[
        SideResult(name="dispytch", events=9, rounds=[{"rate": 50.0}, {"rate": 70.0}]),
        SideResult(name="peer", note="at most once", missing="it is not installed"),
    ],
    goals=[
        GoalResult(name="of raw", floor=0.4, aim=0.6, values=[0.41, 0.45]),
        GoalResult(name="of the peer", floor=8),
    ],
)


class TestTable:
    def test_it_says_what_was_asked_and_what_came_of_it(self) -> None:
        assert "| Consume | of raw | 0.43× (0.41–0.45) | ≥ 0.4× | ≥ 0.6× | met |" in table(
            results(CONSUME)
        )

    def test_it_says_what_could_not_be_measured_and_why(self) -> None:
        page = table(results(CONSUME))
        assert "|  | of the peer | – | ≥ 8× |  | not measured |" in page
        assert "|  | peer | 0 |  | at most once; it is not installed |" in page

    def test_it_says_what_each_side_did(self) -> None:
        assert "| Consume | dispytch | 9 | 60/s (50–70) |  |" in table(results(CONSUME))

    def test_a_case_without_its_broker_is_named(self) -> None:
        absent = CaseResult(name="a", title="A", value="rate", missing="no kafka")
        assert "| A | not measured |  |  |  | no kafka |" in table(results(absent))


class TestKeeping:
    OTHER = CONSUME.model_copy(update={"name": "other"})

    def test_cases_that_were_not_measured_anew_stay_in_their_place(self) -> None:
        anew = CONSUME.model_copy(update={"title": "anew"})
        kept = results(anew).over(results(CONSUME, self.OTHER), ["other", "consume"])
        assert [case.title for case in kept.cases] == ["Consume", "anew"]

    def test_figures_of_another_machine_do_not(self) -> None:
        kept = results(CONSUME).over(results(self.OTHER, cores="64"), ["consume", "other"])
        assert [case.name for case in kept.cases] == ["consume"]

    def test_json_says_all_that_the_table_needs(self) -> None:
        written = results(CONSUME).model_dump_json(exclude_defaults=True)
        assert table(Results.model_validate_json(written)) == table(results(CONSUME))

    def test_a_page_has_the_results_between_its_marks_alone(self) -> None:
        page = with_results(f"before\n{BEGIN}\nold\n{END}\nafter\n", results(CONSUME))
        assert page.startswith(f"before\n{BEGIN}\n")
        assert page.endswith(f"{END}\nafter\n")
        assert "old" not in page
        assert with_results(page, results(CONSUME)) == page


def progress(*reports: tuple[float, int]) -> Progress:
    made = Progress()
    for moment, count in reports:
        made.add(moment, count)
    return made


class TestProgress:
    def test_the_rate_is_of_the_time_in_which_all_were_busy(self) -> None:
        early = progress((0, 0), (1, 100), (2, 200), (3, 300), (4, 300))
        late = progress((0, 0), (1, 0), (2, 50), (3, 150), (4, 250))
        assert rate([early, late]) == 200.0

    def test_between_two_reports_the_pace_is_even(self) -> None:
        assert progress((0, 0), (2, 100)).at(0.5) == 25.0

    def test_when_they_never_all_were_it_is_of_all_the_time(self) -> None:
        first = progress((0, 0), (1, 100), (4, 100))
        last = progress((0, 0), (3, 0), (4, 100))
        assert rate([first, last]) == 50.0


class TestGuard:
    def test_a_fifth_more_is_borne(self) -> None:
        assert list(grown({"one": 6.0}, {"one": 5.0})) == []

    def test_more_than_that_is_named(self) -> None:
        assert list(grown({"one": 6.2}, {"one": 5.0})) == ["one: 6.20 × validation, 24% above 5.00"]

    def test_what_has_no_baseline_is_named(self) -> None:
        assert list(grown({"new": 1.0}, {"one": 5.0})) == ["new: has no baseline"]
