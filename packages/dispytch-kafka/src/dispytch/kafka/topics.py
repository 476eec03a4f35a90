"""Topics at the broker: looking for them, making them."""

import asyncio
from collections.abc import Collection

from dispytch.exceptions import BrokerUnreachable, TopologyError
from dispytch.kafka.clients import admin
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import message_limits, new_topic
from dispytch.kafka.driver_types import AdminClient
from dispytch.kafka.failures import KafkaError
from dispytch.kafka.limits import NOTHING, Carrying, room_for, warn_of_narrow
from dispytch.kafka.topic_names import check_topic_name

_READY, _UNKNOWN, _EXISTS, _TIMED_OUT, _NOT_CONTROLLER = 0, 3, 36, 7, 41
_STARTING = (5, 6)
_PAUSE = 0.1


class Topics:
    """Treats missing topics as the configuration's `declare` says."""

    def __init__(self, config: KafkaConfig) -> None:
        self._config = config

    async def prepare(self, names: Collection[str], carrying: Carrying = NOTHING) -> None:
        """Return when these topics can be used, or need not be looked for.

        Those that carry events are made with room for whatever their sources take.

        Raises:
            TopologyError: a name that Kafka cannot have, a topic that is missing and may not be
                made, or that the broker refuses to make.
            BrokerUnreachable: no answer within the connect timeout.
        """
        for name in names:
            check_topic_name(name)
        if self._config.declare == "never" or not names:
            return
        reason: Exception | None = None
        try:
            async with admin(self._config) as client, asyncio.timeout(self._config.connect_timeout):
                others = [name for name in names if name not in carrying.carriers]
                await self._ensure(client, others, None)
                limits = await carrying.limits(client)
                carriers = [name for name in names if name in carrying.carriers]
                await self._ensure(client, carriers, room_for(limits))
                warn_of_narrow(limits, await message_limits(client, carriers))
                return
        except (TimeoutError, KafkaError) as error:
            reason = error
        raise BrokerUnreachable(
            f"Kafka at {self._config.address} did not make the topics {sorted(names)} ready "
            f"within {self._config.connect_timeout:g} s: {reason!r}"
        ) from reason

    async def check(self, topic: str) -> None:
        """Return if a topic is there; it is not made, whatever may be made otherwise.

        Raises:
            TopologyError, BrokerUnreachable: as `prepare` does under ``declare='check'``.
        """
        await Topics(self._config.model_copy(update={"declare": "check"})).prepare([topic])

    async def _ensure(self, client: AdminClient, names: Collection[str], limit: int | None) -> None:
        while names and (missing := await self._not_ready(client, names)):
            await self._make(client, missing, limit)
            await asyncio.sleep(_PAUSE)

    async def _not_ready(self, client: AdminClient, names: Collection[str]) -> list[str]:
        """Those that do not exist; waits for those that only lack a leader."""
        while True:
            found = {each["topic"]: each for each in await client.describe_topics(list(names))}
            missing = [name for name in names if found[name]["error_code"] == _UNKNOWN]
            if missing and self._config.declare == "check":
                raise TopologyError(
                    f"Kafka at {self._config.address} has no topics {missing}, and "
                    "declare='check' makes none: make them, or set declare='auto'"
                )
            codes = [found[name]["error_code"] for name in names]
            codes += [part["error_code"] for name in names for part in found[name]["partitions"]]
            if missing or not any(code in _STARTING for code in codes):
                return missing
            await asyncio.sleep(_PAUSE)

    async def _make(self, client: AdminClient, names: Collection[str], limit: int | None) -> None:
        config = self._config
        answer = await client.create_topics(
            [new_topic(name, config.partitions, config.replication_factor, limit) for name in names]
        )
        for topic in answer.to_object()["topic_errors"]:
            if topic["error_code"] not in (_READY, _EXISTS, _TIMED_OUT, _NOT_CONTROLLER):
                raise TopologyError(
                    f"Kafka at {config.address} does not make the topic {topic['topic']!r} with "
                    f"partitions={config.partitions} and "
                    f"replication_factor={config.replication_factor}: {topic['error_message']} "
                    f"(error {topic['error_code']}); make it yourself, or change these options"
                )
