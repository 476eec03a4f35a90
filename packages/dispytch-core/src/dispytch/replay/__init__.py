"""Reading dead letters, and sending them back to the group that gave them up."""

from dispytch.replay.dead_letters import DeadLetters
from dispytch.replay.letter import DeadLetter
from dispytch.replay.replayed import Replayed

__all__ = ["DeadLetter", "DeadLetters", "Replayed"]
