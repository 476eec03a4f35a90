"""The way to the broker: a connection, and another one whenever it is lost."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator

from dispytch.exceptions import BrokerUnreachable
from dispytch.rabbitmq.amqp.channel import Channel, ChannelEvents
from dispytch.rabbitmq.amqp.connection import Connection, Target
from dispytch.rabbitmq.amqp.errors import (
    ACCESS_REFUSED,
    NOT_ALLOWED,
    AmqpError,
    ConnectionClosed,
    ConnectionLost,
)
from dispytch.rabbitmq.config import RabbitMQConfig

logger = logging.getLogger("dispytch.rabbitmq")

CHANNEL_TIMEOUT = 10.0
"""Seconds in which the broker must have opened and prepared a channel."""


class LoginRefused(BrokerUnreachable):
    """The broker answers, but refuses the user or the virtual host: waiting does not help."""


def backoff(first: float = 0.1, most: float = 10.0) -> Iterator[float]:
    """Seconds to wait before each further attempt: doubled up to `most`, with jitter."""
    wait = first
    while True:
        yield wait * random.uniform(0.5, 1.0)
        wait = min(most, wait * 2)


class Link:
    """One connection at a time, made when it is asked for and made again when it was lost."""

    def __init__(self, config: RabbitMQConfig, purpose: str) -> None:
        self._config = config
        self._name = f"{config.connection_name} {purpose}"
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self.trouble: str | None = None
        """Why the last attempt failed, while there is no connection."""

    @property
    def live(self) -> Connection | None:
        """The connection, if there is one that lives."""
        if self._connection is None or self._connection.ended.done():
            return None
        return self._connection

    async def open(self) -> Connection:
        """Connect, trying again for as long as the connect timeout lasts.

        Raises:
            BrokerUnreachable: it cannot be done; the text has the address.
            ConfigurationError: the files for TLS cannot be used.
        """
        deadline = time.monotonic() + self._config.connect_timeout
        for wait in backoff():
            try:
                async with self._lock:
                    return await self._connect(deadline - time.monotonic())
            except LoginRefused:
                raise
            except BrokerUnreachable:
                if time.monotonic() + wait >= deadline:
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("unreachable")

    async def connection(self) -> Connection:
        """The live connection; waits for as long as it takes to make one.

        Raises:
            LoginRefused: the broker refuses the user or the virtual host.
        """
        async with self._lock:
            for wait in backoff():
                if self.live is not None:
                    return self.live
                try:
                    connection = await self._connect(self._config.connect_timeout)
                except LoginRefused:
                    raise
                except BrokerUnreachable as error:
                    logger.warning("%s; trying again in %.1f s", error, wait)
                    await asyncio.sleep(wait)
                else:
                    logger.info("connected to %s again", self._config.address)
                    return connection
        raise AssertionError("unreachable")

    async def channel(
        self, events: ChannelEvents, prepare: Callable[[Channel], Awaitable[None]]
    ) -> None:
        """Open a channel on the live connection and prepare it.

        Raises:
            AmqpError: it failed this time; the broker gave no answer, or the channel has ended.
            LoginRefused: the broker refuses the user or the virtual host.
        """
        connection = await self.connection()
        channel: Channel | None = None
        try:
            async with asyncio.timeout(CHANNEL_TIMEOUT):
                channel = await connection.open_channel(events)
                await prepare(channel)
        except TimeoutError:
            await _abandon(channel, connection)
            raise AmqpError("the broker gave no answer on a new channel") from None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._connection.close()

    async def _connect(self, seconds: float) -> Connection:
        try:
            async with asyncio.timeout(seconds):
                self._connection = await Connection.connect(await self._target())
        except (OSError, AmqpError) as error:
            unreachable = _unreachable(error, self._config)
            self.trouble = str(unreachable)
            raise unreachable from error
        self.trouble = None
        return self._connection

    async def _target(self) -> Target:
        config = self._config
        tls = await asyncio.to_thread(config.tls_context) if config.tls else None
        return Target(
            host=config.host,
            port=config.effective_port,
            vhost=config.vhost,
            user=config.user,
            password=config.password.get_secret_value(),
            heartbeat=config.heartbeat,
            name=self._name,
            tls=tls,
        )


async def _abandon(channel: Channel | None, connection: Connection) -> None:
    try:
        async with asyncio.timeout(CHANNEL_TIMEOUT):
            if channel is not None:
                await channel.close()
                return
    except (TimeoutError, AmqpError):
        pass
    await connection.close()


def _unreachable(error: OSError | AmqpError, config: RabbitMQConfig) -> BrokerUnreachable:
    where = f"RabbitMQ at {config.address}"
    match error:
        case TimeoutError():
            return BrokerUnreachable(
                f"{where} did not answer within {config.connect_timeout:g} s; is it running, and "
                "is the address right?"
            )
        case ConnectionClosed(code=code) if code == ACCESS_REFUSED:
            return LoginRefused(
                f"{where} refused the login of user {config.user!r}: check user and password "
                f"({error.text})"
            )
        case ConnectionClosed(code=code) if code == NOT_ALLOWED and "limit" not in error.text:
            return LoginRefused(
                f"{where} refused virtual host {config.vhost!r} to user {config.user!r}: make it, "
                f"or give the user its permissions ({error.text})"
            )
        case ConnectionLost():
            return BrokerUnreachable(
                f"{where} closed the connection during the login; is it a RabbitMQ port, with "
                f"{'TLS' if config.tls else 'no TLS'}? ({error})"
            )
        case _:
            return BrokerUnreachable(f"{where} cannot be reached: {error}")
