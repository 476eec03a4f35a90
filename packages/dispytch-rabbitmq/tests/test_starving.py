"""Queues that have messages and hand out none."""

from typing import cast

import pytest

from dispytch.rabbitmq import starving as module
from dispytch.rabbitmq.consumption import Consumption
from dispytch.rabbitmq.starving import STARVED_AFTER, Starving


class FakeConsumption:
    """What is looked at of a queue that is consumed."""

    def __init__(self) -> None:
        self.lease = self
        self.stream = "q"
        self.outstanding = 0
        self.deliveries = 5
        self.holds = True


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.queue = FakeConsumption()
        self.starving = Starving()

    def look(self, ready: int, after: float = 0.0) -> list[str]:
        self.now += after
        self.starving.look([cast(Consumption, self.queue)], {"q": ready})
        return list(self.starving.problems.values())


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_a_queue_that_hands_out_nothing_for_long_is_a_problem(scene: Scene) -> None:
    assert not scene.look(3)
    assert not scene.look(3, STARVED_AFTER / 2)
    [sentence] = scene.look(7, STARVED_AFTER / 2)
    assert "queue q has 7 messages and has handed out none for 10 s" in sentence


def test_one_delivery_makes_it_well(scene: Scene) -> None:
    scene.look(3)
    assert scene.look(3, STARVED_AFTER)
    scene.queue.deliveries += 1
    assert not scene.starving.problems
    assert not scene.look(3, STARVED_AFTER)
    assert scene.look(3, STARVED_AFTER)


@pytest.mark.parametrize(("ready", "outstanding"), [(0, 0), (3, 1)])
def test_a_queue_that_is_empty_or_whose_window_is_full_is_well(
    scene: Scene, ready: int, outstanding: int
) -> None:
    scene.queue.outstanding = outstanding
    scene.look(ready)
    assert not scene.look(ready, 2 * STARVED_AFTER)
