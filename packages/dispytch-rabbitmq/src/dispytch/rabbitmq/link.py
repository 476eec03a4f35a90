"""The way to the broker: a connection, and another one whenever it is lost."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator

from aiormq import exceptions as driver_errors

from dispytch.exceptions import BrokerUnreachable
from dispytch.rabbitmq import driver
from dispytch.rabbitmq.config import RabbitMQConfig
from dispytch.rabbitmq.driver import Channel, Connection
from dispytch.rabbitmq.driver_log import quieten
from dispytch.rabbitmq.failures import AmqpError, reason

logger: logging.Logger = logging.getLogger("dispytch.rabbitmq")

CHANNEL_TIMEOUT = 10.0
"""Seconds in which the broker must have opened and prepared a channel."""

CLOSE_TIMEOUT = 5.0
"""Seconds after which a connection is left without a farewell."""


class LoginRefused(BrokerUnreachable):
    """The broker answers, but refuses the user or the virtual host."""


def backoff(first: float = 0.1, most: float = 5.0) -> Iterator[float]:
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
        if self._connection is None or driver.ended(self._connection):
            return None
        return self._connection

    @property
    def away(self) -> str | None:
        """Why there is no connection, in a sentence; None while there is one."""
        if self.live is not None:
            return None
        return self.trouble or f"the connection to RabbitMQ at {self._config.address} was lost"

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
        """The live connection; waits for as long as it takes to make one."""
        async with self._lock:
            for wait in backoff():
                if self.live is not None:
                    return self.live
                try:
                    connection = await self._connect(self._config.connect_timeout)
                except BrokerUnreachable as error:
                    logger.warning("%s; trying again in %.1f s", error, wait)
                    await asyncio.sleep(wait)
                else:
                    logger.info("connected to %s again", self._config.address)
                    return connection
        raise AssertionError("unreachable")

    async def channel(self, prepare: Callable[[Channel], Awaitable[None]]) -> None:
        """Open a channel on the live connection and prepare it.

        Raises:
            AmqpError: it failed this time; the broker gave no answer, or the channel has ended.
        """
        connection = await self.connection()
        try:
            async with asyncio.timeout(CHANNEL_TIMEOUT):
                await prepare(await driver.open_channel(connection))
        except TimeoutError:
            await self._abandon(connection)
            raise AmqpError("the broker gave no answer on a new channel") from None

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            await self._abandon(self._connection)

    async def _abandon(self, connection: Connection) -> None:
        with contextlib.suppress(TimeoutError, AmqpError, OSError, driver_errors.AMQPError):
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await connection.close()

    async def _connect(self, seconds: float) -> Connection:
        quieten()
        try:
            async with asyncio.timeout(seconds):
                self._connection = await driver.connect(self._config, self._name)
        except (OSError, driver_errors.AMQPError) as error:
            unreachable = _unreachable(error, self._config)
            self.trouble = str(unreachable)
            raise unreachable from error
        self.trouble = None
        return self._connection


def _unreachable(error: Exception, config: RabbitMQConfig) -> BrokerUnreachable:
    where = f"RabbitMQ at {config.address}"
    match error:
        case TimeoutError():
            return BrokerUnreachable(
                f"{where} did not answer within {config.connect_timeout:g} s; is it running, and "
                "is the address right?"
            )
        case driver_errors.ProbableAuthenticationError():
            return LoginRefused(
                f"{where} refused the login of user {config.user!r}: check user and password "
                f"({reason(error)})"
            )
        case driver_errors.InvalidFrameError() if "Connection.Close" in reason(error):
            # Here the driver keeps the broker's own words to itself.
            return LoginRefused(
                f"{where} refused virtual host {config.vhost!r} to user {config.user!r}: make it, "
                "or give the user its permissions; the broker's log has the reason"
            )
        case driver_errors.ProtocolSyntaxError() | driver_errors.IncompatibleProtocolError():
            return BrokerUnreachable(f"{where} does not speak AMQP 0-9-1: {reason(error)}")
        case _:
            return BrokerUnreachable(
                f"{where} cannot be reached: {reason(error)}; is it running, is it a RabbitMQ "
                f"port, with {'TLS' if config.tls else 'no TLS'}?"
            )
