"""Turns to begin, which come with time, and the queue for them."""

from dispytch.clock import Timer
from dispytch.gates import Gate, Now, Waiting
from dispytch.middleware.token_bucket import TokenBucket


class Turns(Gate):
    """A gate that is open for one run every ``interval`` seconds, or a ``burst`` after a rest.

    However many wait, there is one timer, for the first of them.
    """

    def __init__(self, interval: float, burst: int) -> None:
        super().__init__()
        self._interval = interval
        self._bucket = TokenBucket(interval, burst)
        self._timer: Timer | None = None
        self._now: Now | None = None

    def is_open(self, now: float) -> bool:
        """Whether there is a turn to take."""
        return self._bucket.wait(now) == 0

    def take(self, now: float) -> None:
        """Take a turn."""
        self._bucket.take(now)
        self._set_timer()

    def put_back(self, now: float) -> None:
        """Give a turn back that was not used."""
        self._bucket.put_back()

    def call(self, now: float) -> None:
        """Call those whose turn it is, in their order."""
        super().call(now)
        self._set_timer()

    def join(self, waiting: Waiting, now: Now) -> None:
        """Have a run wait for its turn."""
        super().join(waiting, now)
        self._now = now
        self._set_timer()

    def quit(self, waiting: Waiting) -> None:
        """Have a run wait no longer."""
        super().quit(waiting)
        if not self._queue:
            # What gives the time may belong to a service, and is not kept alive for nobody.
            self._now = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def has_rested(self, now: float) -> bool:
        """Whether it is as good as new."""
        return self._bucket.is_full(now) and self.is_deserted

    def seconds(self, waiting: Waiting, now: float) -> float:
        """How long it takes until a run that waits here has its turn, as far as can be told."""
        return self._bucket.wait(now) + self.place(waiting) * self._interval

    def _set_timer(self) -> None:
        if self._timer is not None or self._now is None:
            return
        seconds = self._bucket.wait(self._now())
        if seconds > 0:
            clock = self._queue[0].clock
            self._timer = clock.call_at(clock.time() + seconds, self._ring, self._now)

    def _ring(self, now: Now) -> None:
        self._timer = None
        self.call(now())
