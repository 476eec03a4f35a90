"""Deleting what a measurement leaves at a broker."""

from collections.abc import Sequence

from .job import Job


async def forget(jobs: Sequence[Job]) -> None:
    """Delete the topics of Kafka, or the queues of RabbitMQ, that were made for these jobs."""
    if jobs and jobs[0].url.startswith("kafka"):
        await _delete_topics(jobs[0].address, sorted({job.topic for job in jobs}))
    elif jobs:
        await _delete_queues(jobs[0].url, [job.queue for job in jobs])


async def _delete_topics(servers: str, topics: list[str]) -> None:
    from aiokafka.admin import AIOKafkaAdminClient

    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        await admin.delete_topics(topics)
    finally:
        await admin.close()


async def _delete_queues(url: str, queues: list[str]) -> None:
    from .programs.rabbitmq_raw import channel

    async with channel(url) as opened:
        for queue in queues:
            await opened.queue_delete(queue)
