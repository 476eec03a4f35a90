"""How far a consumer is behind."""

import asyncio
from collections.abc import Mapping

from dispytch.exceptions import TransportError
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import answered, place_of
from dispytch.kafka.driver_types import ConsumerClient
from dispytch.kafka.failures import KafkaError
from dispytch.kafka.leases import Leases


async def lag(client: ConsumerClient, leases: Leases, config: KafkaConfig) -> Mapping[str, int]:
    """How many records of each stream are still to be handed out, those in the buffers included.

    A stream whose place is not known yet, as just after an assignment, is left out. Where there is
    no stream, it asks all the same, to know whether the broker answers.

    Raises:
        TransportError: no answer within the request timeout.
    """
    partitions = [lease.partition for lease in leases]
    try:
        async with asyncio.timeout(config.request_timeout):
            if not partitions:
                await answered(client)
                return {}
            ends = await client.end_offsets(partitions)
    except (KafkaError, TimeoutError) as error:
        where = ", ".join(lease.stream for lease in leases) or "its topics"
        raise TransportError(
            f"Kafka at {config.address} did not tell within {config.request_timeout:g} s where "
            f"{where} end; see whether it runs ({error!r})"
        ) from error
    found: dict[str, int] = {}
    for lease in leases:
        place = place_of(client, lease.partition)
        if place is not None and lease.partition in ends:
            found[lease.stream] = max(0, ends[lease.partition] - place) + lease.waiting
    return found
