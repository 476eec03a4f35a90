"""Places that a limited number of runs have at once."""

from dispytch.gates import Gate


class Places(Gate):
    """A gate that is open while fewer than ``limit`` runs go on."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit
        self._taken = 0

    @property
    def is_deserted(self) -> bool:
        """Whether nobody has a place, or waits for one."""
        return not self._taken and super().is_deserted

    def is_open(self, now: float) -> bool:
        """Whether a place is free."""
        return self._taken < self._limit

    def take(self, now: float) -> None:
        """Take a place."""
        self._taken += 1

    def put_back(self, now: float) -> None:
        """Give a place back."""
        self._taken -= 1
