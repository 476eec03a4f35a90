"""What became of the dead letters that a replay was to send back."""

from collections.abc import Mapping


class Replayed(int):
    """How many dead letters were sent back to their group: a number.

    ``left`` says of those that were meant and could not be sent, by their ids, why that is so; they
    stay where they are.
    """

    left: Mapping[str, str]

    @classmethod
    def of(cls, sent: int, left: Mapping[str, str]) -> "Replayed":
        """The outcome of one replay."""
        replayed = cls(sent)
        replayed.left = dict(left)
        return replayed

    def __repr__(self) -> str:
        return f"<Replayed {int(self)}, left {len(self.left)}>"
