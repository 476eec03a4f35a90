"""What a program is told to do, on its command line."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run of one side.

    program: module and function in `benchmarks.programs`, as ``module:function``.
    url: the broker. topic, group: made for it. events: how many it has to handle or emit.
    loop: ``asyncio`` or ``uvloop``. options: what else this program takes.
    """

    program: str
    url: str = ""
    topic: str = ""
    group: str = ""
    events: int = 0
    loop: str = "asyncio"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Host and port of the broker, with what else stands before the options of the URL."""
        return self.url.partition("://")[2].partition("?")[0].rstrip("/")

    @property
    def queue(self) -> str:
        """The group's queue on RabbitMQ."""
        return f"{self.topic}:{self.group}"

    def written(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Job":
        """What `written` has written."""
        return cls(**json.loads(text))
