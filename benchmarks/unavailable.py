"""What cannot be had here."""


class Unavailable(Exception):
    """A broker, an interpreter or a framework is missing; the text says which, and why."""
