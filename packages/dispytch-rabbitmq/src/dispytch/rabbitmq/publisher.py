"""Publishing below the driver's own `basic_publish`, with one write for many messages.

That takes a task, a lock and three context managers for each message, several times what it costs
to write one. All it notes of a message are attributes of the channel: which future waits for which
delivery tag, and which tag has which message id, by which a returned message is found. The same is
noted here, and the driver's reader does the rest.
"""

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from os import urandom
from struct import Struct
from typing import Final, cast

from aiormq.abc import ChannelFrame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.frame import marshal

from dispytch.exceptions import MessageTooLarge
from dispytch.rabbitmq.driver import Channel, frame_max, reference, write_properties
from dispytch.rabbitmq.outgoing import Outgoing

_HEAD: Final = Struct(">BHI")
_CONTENT: Final = Struct(">HHQ")
_HEADER: Final = 2
_BASIC: Final = 60
_END: Final = b"\xce"

_ROUTES: Final = 1024
"""For how many routing keys the first frame of a message is remembered."""


class Publisher:
    """Publishes on a channel that confirms, and on which nobody else publishes."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._confirmations = cast("dict[int, asyncio.Future[object]]", channel.confirmations)  # pyright: ignore[reportUnknownMemberType]
        self._queue = cast("asyncio.Queue[ChannelFrame]", channel.write_queue)  # pyright: ignore[reportUnknownMemberType]
        self._frame_max = frame_max(channel)
        self._frames: list[bytes] = []
        self._writing: asyncio.Task[None] | None = None
        self._routed = lru_cache(_ROUTES)(self._route)

    def publish(self, message: Outgoing) -> asyncio.Future[object]:
        """Send a message after all before it; what is returned waits for the broker's confirm.

        The future gets the driver's `Returned` or `NotTaken` where the broker has not taken the
        message, and nothing at all where the channel ends before.

        Raises:
            MessageTooLarge: its headers do not fit into one frame.
            Exception: a property cannot be written; of whatever class the driver has for that.
        """
        properties = message.properties
        if not properties.message_id:
            properties.message_id = urandom(16).hex()
        frames = [
            self._routed(message.exchange, message.routing_key, message.mandatory),
            self._header(message),
            *self._body(message.body),
        ]
        confirmation = self._confirmation(reference(properties.message_id))
        self._frames += frames
        # Eager tasks may have written everything before they are noted here.
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="dispytch-publish")
        return confirmation

    def twin(self, message: Outgoing) -> "asyncio.Future[object] | None":
        """What a message that has the same id waits for, and is on its way.

        Were two of them on their way, then one that comes back could be taken for the other.
        """
        message_id = message.properties.message_id
        if not message_id:
            return None
        tag = self._channel.message_id_delivery_tag.get(reference(message_id))
        return None if tag is None else self._confirmations.get(tag)

    def close(self) -> None:
        """Write nothing more."""
        if self._writing is not None:
            self._writing.cancel()

    def _confirmation(self, message_id: str) -> asyncio.Future[object]:
        channel = self._channel
        channel.delivery_tag += 1
        tag = channel.delivery_tag
        confirmation: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._confirmations[tag] = confirmation
        channel.message_id_delivery_tag[message_id] = tag

        def forget(_: object) -> None:
            if channel.message_id_delivery_tag.get(message_id) == tag:
                del channel.message_id_delivery_tag[message_id]

        confirmation.add_done_callback(forget)
        return confirmation

    async def _write(self) -> None:
        # A frame on a channel that has ended would end the connection, too.
        while self._frames and not self._channel.is_closed:
            payload = b"".join(self._frames)
            self._frames.clear()
            await self._queue.put(ChannelFrame(payload=payload, should_close=False))

    def _route(self, exchange: str, routing_key: str, mandatory: bool) -> bytes:
        frame = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
        return marshal(frame, self._channel.number)

    def _header(self, message: Outgoing) -> bytes:
        properties = write_properties(message.properties)
        frame = b"".join(
            (
                _HEAD.pack(_HEADER, self._channel.number, _CONTENT.size + len(properties)),
                _CONTENT.pack(_BASIC, 0, len(message.body)),
                properties,
                _END,
            )
        )
        if len(frame) > self._frame_max:
            raise MessageTooLarge(
                f"the headers of a message to {message.topic!r} have {len(frame)} bytes and must "
                f"fit into one frame of {self._frame_max}: move something into the body, or raise "
                "frame_max of the broker"
            )
        return frame

    def _body(self, body: bytes) -> Iterator[bytes]:
        most = self._channel.max_content_size
        for start in range(0, len(body), most):
            yield marshal(ContentBody(body[start : start + most]), self._channel.number)
