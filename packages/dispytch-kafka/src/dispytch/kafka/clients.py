"""Connected clients: the driver's, set up from the configuration."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka.errors import (  # type: ignore[import-untyped,unused-ignore]
    KafkaConnectionError,
    KafkaError,
)

from dispytch.exceptions import BrokerUnreachable, ConfigurationError, reason_of
from dispytch.kafka.config import KafkaConfig
from dispytch.kafka.driver import (
    FETCH_WAIT_MS,
    admin_client,
    closed_by_force,
    consumer_client,
    leave_while_joining,
    producer_client,
)
from dispytch.kafka.driver_log import quieten
from dispytch.kafka.driver_types import AdminClient, Client, ConsumerClient, ProducerClient
from dispytch.kafka.link import Link
from dispytch.kafka.reading import Reading
from dispytch.transport import Subscription

logger: logging.Logger = logging.getLogger("dispytch.kafka")

AnyClient = TypeVar("AnyClient", bound=Client)

STOP_TIMEOUT = 10.0
REBALANCE_MARGIN = 15.0
"""Seconds between the end of a drain and the moment the broker gives up on this member."""

_BATCH_BYTES = 262_144
_RETRY_BACKOFF_MS = 300


async def connected(make: Callable[[], AnyClient], config: KafkaConfig) -> AnyClient:
    """A client that has found a broker; keeps trying until the connect timeout.

    Raises:
        BrokerUnreachable: none was found in time.
        ConfigurationError: a certificate cannot be read.
    """
    quieten()
    reason: Exception | None = None
    try:
        async with asyncio.timeout(config.connect_timeout):
            for pause in _pauses():
                client = make()
                try:
                    await client.start()
                    return client
                except (KafkaConnectionError, OSError) as error:
                    reason = error
                    await stopped(client)
                except BaseException:
                    await stopped(client)
                    raise
                await asyncio.sleep(pause)
    except (TimeoutError, KafkaError) as error:
        reason = reason if isinstance(error, TimeoutError) and reason is not None else error
    raise BrokerUnreachable(
        f"no Kafka broker at {config.address} took a connection within "
        f"{config.connect_timeout:g} s; check the address, that the broker runs, and the "
        f"credentials and TLS options (it failed with {_told(reason)}; "
        "the log of aiokafka may say more)"
    ) from reason


def _told(reason: Exception | None) -> str:
    return "no answer" if reason is None else reason_of(reason)


async def stopped(client: Any, within: float = STOP_TIMEOUT) -> None:
    """End a client, by force when it does not end in order and in time."""
    ending = client.stop() if hasattr(client, "stop") else client.close()
    if not await _in_order(ending, within):
        logger.warning("a Kafka client did not end in order; its connections are cut")
        await _in_order(closed_by_force(client), within)


async def left(client: ConsumerClient) -> None:
    """End a consumer, which leaves its group; also while it is joining."""
    leaving = asyncio.create_task(leave_while_joining(client), name="dispytch-kafka-leave")
    try:
        await stopped(client)
    finally:
        leaving.cancel()
        await asyncio.wait({leaving})


async def _in_order(ending: Awaitable[object], within: float) -> bool:
    # In a task of its own, because the driver lets its own cancellations out of its `stop`.
    task = asyncio.ensure_future(ending)
    try:
        await asyncio.wait({task}, timeout=within)
    finally:
        task.cancel()
    await asyncio.wait({task}, timeout=within)
    return task.done() and not task.cancelled() and task.exception() is None


@asynccontextmanager
async def admin(config: KafkaConfig) -> AsyncGenerator[AdminClient, None]:
    """A connected admin client."""
    client = await connected(lambda: admin_client(**_options(config)), config)
    try:
        yield client
    finally:
        await stopped(client)


async def new_producer(config: KafkaConfig) -> ProducerClient:
    """A connected producer."""
    return await connected(
        lambda: producer_client(
            **_options(config),
            compression_type=config.compression,
            max_batch_size=min(_BATCH_BYTES, config.max_message_bytes),
            max_request_size=config.max_message_bytes,
        ),
        config,
    )


async def new_consumer(
    config: KafkaConfig, subscription: Subscription, reading: Reading, link: Link
) -> ConsumerClient:
    """A connected consumer that has not joined its group yet, if it is to join one."""
    rebalance = subscription.drain_timeout + REBALANCE_MARGIN
    session = config.session_timeout
    options = _options(config)
    # The broker answers a join only when all members have drained, so a request may take as long.
    options["request_timeout_ms"] = _ms(max(config.request_timeout, rebalance + 5))
    return await connected(
        lambda: consumer_client(
            **options,
            reading=reading,
            requests=link,
            group_id=None if subscription.temporary else subscription.group,
            auto_offset_reset="earliest",
            session_timeout_ms=_ms(session),
            heartbeat_interval_ms=_ms(min(3.0, session / 3)),
            rebalance_timeout_ms=_ms(rebalance),
            max_poll_interval_ms=_ms(config.max_poll_interval),
            fetch_max_wait_ms=FETCH_WAIT_MS,
        ),
        config,
    )


async def new_reader(config: KafkaConfig, reading: Reading, link: Link) -> ConsumerClient:
    """A connected consumer that joins no group."""
    return await connected(
        lambda: consumer_client(
            **_options(config),
            reading=reading,
            requests=link,
            group_id=None,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=0,
        ),
        config,
    )


def _options(config: KafkaConfig) -> dict[str, Any]:
    sasl = config.username is not None or config.token_provider is not None
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.bootstrap_servers),
        "client_id": config.client_id,
        "request_timeout_ms": _ms(config.request_timeout),
        "retry_backoff_ms": _RETRY_BACKOFF_MS,
        "metadata_max_age_ms": _ms(config.metadata_max_age),
        "security_protocol": ("SASL_" if sasl else "") + ("SSL" if config.tls else "PLAINTEXT"),
    }
    if config.tls:
        options["ssl_context"] = _ssl_context(config)
    if sasl:
        options["sasl_mechanism"] = config.mechanism or "PLAIN"
        options["sasl_plain_username"] = config.username
        options["sasl_plain_password"] = config.password and config.password.get_secret_value()
        options["sasl_oauth_token_provider"] = config.token_provider
    return options


def _ssl_context(config: KafkaConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.tls_cafile)
        if config.tls_certfile is not None:
            context.load_cert_chain(config.tls_certfile, config.tls_keyfile)
    except (OSError, ssl.SSLError) as error:
        files = [config.tls_cafile, config.tls_certfile, config.tls_keyfile]
        raise ConfigurationError(
            f"the TLS files {[file for file in files if file]} cannot be read: {error}; "
            "they must be PEM files that this process may read"
        ) from error
    if not config.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _pauses() -> Iterator[float]:
    pause = 0.1
    while True:
        yield pause
        pause = min(2 * pause, 2.0)


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
