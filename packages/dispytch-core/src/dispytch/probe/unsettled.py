"""Saying what is still open."""

from collections.abc import Iterator

from dispytch.messages import Delivery
from dispytch.probe.recorder import Recorder


def open_events(recorder: Recorder, *, now: float, time: float) -> Iterator[str]:
    """A line for every event that is not settled, or for every handler of it.

    now: by the event loop's clock. time: by the one that attempts go by.
    """
    told: set[Delivery] = set()
    for (delivery, name), run in recorder.running.items():
        told.add(delivery)
        yield (
            f"{recorder.label(delivery)}: handler {name} has been running for "
            f"{now - run.since:.1f} s, attempt {run.event.attempt}"
        )
    for (delivery, name), (number, due) in recorder.waiting.items():
        told.add(delivery)
        yield (
            f"{recorder.label(delivery)}: attempt {number} of handler {name} is due in "
            f"{max(0.0, due - time):g} s on the probe's clock"
        )
    for delivery, received in recorder.open.items():
        if delivery not in told:
            why = _why(recorder, delivery)
            yield f"{recorder.label(delivery)}: {why}, for {now - received:.1f} s"


def _why(recorder: Recorder, delivery: Delivery) -> str:
    if recorder.owes_letter(delivery):
        return "its dead letter is not taken by the broker"
    return "it waits behind another event of its key, for its batch, or for a free worker"
