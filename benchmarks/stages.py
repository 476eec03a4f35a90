"""What is made ready for a case at the broker, and cleared away after it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

from dispytch.backends import backend_from
from dispytch.transport import Topology

from .case import Jobs, Setting, Side, Stage
from .job import Job
from .leftovers import forget
from .programs.dispytch_side import fill
from .workload import KEYS


def new_name() -> str:
    """A name for a topic or a group that nobody else has."""
    return f"benchmark.{uuid4().hex[:8]}"


def nothing() -> Stage:
    """No broker: the program needs none, or brings its own."""

    @asynccontextmanager
    async def stage(setting: Setting) -> AsyncIterator[Jobs]:
        async def jobs(sides: Sequence[Side]) -> dict[str, Job]:
            return {side.name: _job(side, setting) for side in sides}

        yield jobs

    return stage


def empty(broker: str, options: str = "") -> Stage:
    """A topic with nothing in it, for each round and side anew; with a queue for its group."""

    @asynccontextmanager
    async def stage(setting: Setting) -> AsyncIterator[Jobs]:
        url, made = await _url(setting, broker, options), []

        async def jobs(sides: Sequence[Side]) -> dict[str, Job]:
            found = {side.name: _job(side, setting, url, new_name(), new_name()) for side in sides}
            for job in found.values():
                await backend_from(url).prepare(Topology(topics=(job.topic,), group=job.group))
            await forget(made)
            made[:] = found.values()
            return found

        try:
            yield jobs
        finally:
            await forget(made)

    return stage


def filled(broker: str, options: str = "", *, keys: int = KEYS) -> Stage:
    """A topic with all of the events, and for each side a group that has seen none of them.

    A topic of Kafka is filled once, as every new group reads it from its start. On RabbitMQ each
    round has queues of its own, which one run of the emitter fills all.
    """

    def stage(setting: Setting) -> AbstractAsyncContextManager[Jobs]:
        log = broker == "kafka"
        return (_filled_once if log else _filled_each_round)(setting, broker, options, keys)

    return stage


@asynccontextmanager
async def _filled_once(
    setting: Setting, broker: str, options: str, keys: int
) -> AsyncIterator[Jobs]:
    url, topic = await _url(setting, broker, options), new_name()
    await backend_from(url).prepare(Topology(topics=(topic,), group=new_name()))
    await fill(url, topic, setting.events, keys)

    async def jobs(sides: Sequence[Side]) -> dict[str, Job]:
        return {side.name: _job(side, setting, url, topic, new_name()) for side in sides}

    try:
        yield jobs
    finally:
        await forget([Job("", url, topic)])


@asynccontextmanager
async def _filled_each_round(
    setting: Setting, broker: str, options: str, keys: int
) -> AsyncIterator[Jobs]:
    url, made = await _url(setting, broker, options), []

    async def jobs(sides: Sequence[Side]) -> dict[str, Job]:
        await forget(made)
        topic = new_name()
        found = {side.name: _job(side, setting, url, topic, new_name()) for side in sides}
        made[:] = found.values()
        for job in made:
            await backend_from(url).prepare(Topology(topics=(topic,), group=job.group))
        await fill(url, topic, setting.events, keys)
        return found

    try:
        yield jobs
    finally:
        await forget(made)


async def _url(setting: Setting, broker: str, options: str) -> str:
    url = await setting.brokers.url(broker)
    return f"{url}{'&' if '?' in url else '?'}{options}" if options else url


def _job(side: Side, setting: Setting, url: str = "", topic: str = "", group: str = "") -> Job:
    return Job(
        side.program,
        url,
        topic,
        group,
        side.events(setting.events),
        side.loop,
        dict(side.options),
    )
