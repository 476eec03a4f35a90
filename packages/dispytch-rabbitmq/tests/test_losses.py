"""When a queue that is lost again and again counts as well, and how long it is left alone."""

import pytest

from dispytch.rabbitmq.losses import LONGEST_PAUSE, PROVEN_AFTER, Losses


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def losses(clock: Clock) -> Losses:
    return Losses("q", clock)


def test_nothing_is_wrong_at_first(losses: Losses) -> None:
    assert losses.problem(progressed=False) is None
    assert losses.pause == 0


def test_a_lost_queue_is_a_problem_until_it_is_proven_well(losses: Losses, clock: Clock) -> None:
    losses.lost("gone", progressed=True)
    clock.now += 7
    assert losses.problem(progressed=False) == "queue q is not consumed, since 7 s: gone"
    losses.failed("still gone")
    assert losses.problem(progressed=True) == "queue q is not consumed, since 7 s: still gone"
    losses.back()
    assert "nothing of it has been settled: still gone" in (losses.problem(progressed=False) or "")
    assert losses.problem(progressed=True) is None
    clock.now += PROVEN_AFTER
    assert losses.problem(progressed=False) is None


def test_pauses_grow_while_nothing_is_settled(losses: Losses) -> None:
    pauses: list[float] = []
    for _ in range(12):
        losses.lost("poison", progressed=False)
        pauses.append(losses.pause)
        losses.back()
    assert pauses[:4] == [0, 0.2, 0.4, 0.8]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert "was lost 12 times" in (losses.problem(progressed=False) or "")


@pytest.mark.parametrize("progressed", [True, False])
def test_a_queue_that_settles_something_or_stays_is_lost_for_the_first_time_again(
    losses: Losses, clock: Clock, progressed: bool
) -> None:
    for _ in range(5):
        losses.lost("poison", progressed=False)
        losses.back()
    clock.now += 0 if progressed else PROVEN_AFTER
    losses.lost("gone", progressed=progressed)
    assert losses.pause == 0
