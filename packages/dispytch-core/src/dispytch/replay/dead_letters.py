"""The dead letters of one topic and group."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from math import inf
from typing import Final
from uuid import uuid4

from dispytch.backends import backend_from
from dispytch.dead_letters import REPLAY_TURN, DeadLetterTopic
from dispytch.exceptions import ConfigurationError, MessageTooLarge, SendError, Unsendable
from dispytch.messages import Delivery, Message
from dispytch.printable import printable
from dispytch.redelivery import Redelivery, dead_topic, replay_group, retry_topic
from dispytch.replay.letter import DeadLetter
from dispytch.replay.reading import all_there_is, nothing_to_revoke, until_the_end
from dispytch.replay.replayed import Replayed
from dispytch.signing import SIGNATURE, Signer, SigningKey, for_letters, for_retry
from dispytch.topics import one_name
from dispytch.transport import Backend, Consumer, Producer, Subscription, Topology

logger: logging.Logger = logging.getLogger("dispytch")

Select = Callable[[DeadLetter], bool]
"""Whether a dead letter is meant."""

Edit = Callable[[DeadLetter], Message]
"""What is sent in a dead letter's place; its topic is of no account."""

_WINDOW: Final = 1000
_STREAMS: Final = 64
"""The share that one of so many streams has of a window must hold all that is looked at, where a
consumer is not bounded."""


class DeadLetters:
    """The dead letters of one topic and group: to look at, and to send back.

    Where a letter is only a reference to its event, which was too large for it, the event is
    fetched from where it lies. If it is gone from there, the letter says so and stays.

    One reader at a time: another one is refused with `GroupTaken`.

    backend: a URL, or a `Backend`.
    topic, group: whose dead letters; the listener's. The topic may be a handler's pattern: then
        those of all its topics, as they lie together. Without a topic, those in the group's own
        dead-letter topic, ``{group}.dead``: what belongs to no handler, and what the topic that
        it was meant for does not take.
    destination: where they are, if the listener was told so.
    signing_key: the listener's, if it has any: letters are checked, and what goes back is signed.

    Raises:
        ConfigurationError: the backend is not installed, a name is missing, a pattern is wrong, or
            a key is none.
    """

    def __init__(
        self,
        backend: Backend | str,
        *,
        topic: str | None = None,
        group: str,
        destination: DeadLetterTopic = DeadLetterTopic(),  # noqa: B008 - it is frozen
        signing_key: SigningKey | Sequence[SigningKey] | None = None,
    ) -> None:
        if topic == "" or not group:
            raise ConfigurationError("DeadLetters needs the topic and the group of a listener")
        self._backend = backend_from(backend)
        self._group = group
        self._signer = Signer.of("DeadLetters", signing_key, self._backend.features)
        self.topic: str = (
            dead_topic(group) if topic is None else destination.of(one_name(topic), group)
        )

    async def read(self, *, select: Select | None = None, limit: int = 1000) -> list[DeadLetter]:
        """The dead letters there are, oldest first in each stream; none is changed.

        All that were there when this began, or an error; never silently fewer.

        limit: at most so many are looked at, and kept in memory.

        Raises:
            ConfigurationError: the limit is not a positive whole number.
            BrokerUnreachable: no connection within the backend's connect timeout.
            GroupTaken: somebody else is reading, or replaying, these letters.
            TransportError: the broker did not let this read to the end.
        """
        _check_limit("read", limit)
        letters: list[DeadLetter] = []
        # Nothing is settled, so all that is looked at is in flight.
        window = limit if self._backend.features.bounded else limit * _STREAMS
        async with self._consumer(window) as consumer, self._deliveries(consumer) as deliveries:
            async for delivery in deliveries:
                letters.append(self._letter(delivery))
                if len(letters) >= limit:
                    break
        meant = [letter for letter in letters if select is None or select(letter)]
        return [await self._whole(letter) for letter in meant]

    async def replay(
        self,
        *,
        ids: Collection[str] | None = None,
        select: Select | None = None,
        limit: int | None = None,
        rate: float | None = None,
        edit: Edit | None = None,
        trust_unsigned: bool = False,
    ) -> Replayed:
        """Send dead letters back to the group that gave them up, and to no other.

        Each is done with only after the broker has confirmed that it was sent. When this is killed
        in the middle, none is lost; those of the last moments, which the broker was not told of
        yet, are sent again next time. Those that are not meant are put back at the end of the
        topic, in their order, confirmed as well. What fails again meanwhile is left for another
        replay.

        ids, select: which ones; all, if neither is given.
        limit: how many at most. rate: how many a second at most.
        edit: gives the message to send in place of the original.
        trust_unsigned: whether those are sent back as well, and signed, that lack the group's
            signature, or hold what came back to it without one: look at them first, as anybody may
            have written them.

        Returns how many were sent, and says of those that could not be why: the event is gone from
        where the letter says it lies, the retry topic takes no message of its size, or the letter
        lacks the group's signature.

        Raises:
            ConfigurationError: the limit is not a positive whole number, or the rate not positive.
            BrokerUnreachable: no connection within the backend's connect timeout.
            GroupTaken: somebody else is reading, or replaying, these letters.
            SendError: the broker did not take one; it stays where it is.
            TransportError: the broker did not let this read to the end.
        """
        if limit is not None:
            _check_limit("replay", limit)
        pause, meant = _pause(rate), _meaning(ids, select)
        sent, left = 0, dict[str, str]()
        async with self._backend.producer() as producer, self._consumer(_WINDOW) as consumer:
            turn = _Turn(producer, consumer)
            async with self._deliveries(consumer, turn.streams) as deliveries:
                async for delivery in deliveries:
                    if turn.is_over_for(delivery):
                        continue
                    letter = self._letter(delivery)
                    if sent == limit or letter.topic is None or not meant(letter):
                        await turn.put_back(delivery)
                        continue
                    doubt = None if trust_unsigned else letter.doubt
                    if refusal := doubt or await self._send(letter, edit, turn):
                        left[letter.id] = refusal
                        logger.warning("dead letter %s stays: %s", printable(letter.id), refusal)
                        await turn.put_back(delivery)
                        continue
                    consumer.ack(delivery)
                    sent += 1
                    if sent == limit and not turn.has_put_back:
                        break
                    await asyncio.sleep(pause)
            await consumer.flush()
        return Replayed.of(sent, left)

    async def _send(self, letter: DeadLetter, edit: Edit | None, turn: "_Turn") -> str | None:
        """Send a letter's event back; returns why that cannot be done, where it never can."""
        letter = await self._whole(letter)
        if letter.gone:
            return (
                f"its event is gone from {printable(letter.place)}, where the letter says it lies"
            )
        try:
            await turn.send(self._replayed(letter, edit))
        except SendError as error:
            failure = error.failures[0]
            if not isinstance(failure, MessageTooLarge | Unsendable):
                raise
            return f"it cannot be sent to {retry_topic(self._group)!r}: {printable(failure)}"
        return None

    def _letter(self, delivery: Delivery) -> DeadLetter:
        letter = DeadLetter(delivery)
        return replace(letter, doubt=self._doubt(letter))

    def _doubt(self, letter: DeadLetter) -> str | None:
        delivery = letter.delivery
        if self._signer is None:
            # The group would refuse what is sent back without its signature.
            signed = any(name == SIGNATURE for name, _ in delivery.headers)
            return "it is signed: give DeadLetters the signing_key of its group" if signed else None
        doubt = self._signer.doubt(delivery, for_letters(self._group, self.topic))
        if doubt is None and letter.reason == "unsigned":
            return "its event came back to the group without the group's signature"
        return doubt

    async def _whole(self, letter: DeadLetter) -> DeadLetter:
        """The letter with its event, where that lies elsewhere and is still there."""
        if letter.place is None or not self._backend.features.rereads:
            return letter
        event = await self._backend.reread(*letter.place)
        if event is None or not letter.is_of(event):
            return letter
        return replace(letter, event=event)

    def _replayed(self, letter: DeadLetter, edit: Edit | None) -> Message:
        event = letter.restored
        if edit is not None:
            edited = edit(letter)
            event.value, event.key, event.headers = edited.value, edited.key, edited.headers
        message = self._to_retry(letter, event)
        if self._signer is not None:
            self._signer.sign(message, for_retry(self._group))
        return message

    def _to_retry(self, letter: DeadLetter, event: Delivery) -> Message:
        if letter.reason == "unsigned":
            # It lay in the retry topic, and its headers say all that the group has to know.
            topic = retry_topic(self._group)
            return Message(topic, event.value, event.key, event.headers, repeats=event)
        redelivery = Redelivery(
            topic=letter.topic or "", handler=letter.handler, handler_topic=letter.handler_topic
        )
        return redelivery.message(event, self._group)

    @asynccontextmanager
    async def _consumer(self, window: int) -> AsyncGenerator[Consumer, None]:
        readers, bounded = replay_group(self._group), self._backend.features.bounded
        await self._backend.prepare(Topology(topics=(self.topic,), group=readers))
        subscription = Subscription(
            group=readers,
            topics=(self.topic,),
            max_in_flight=window,
            bounded=bounded,
        )
        async with self._backend.consumer(subscription, nothing_to_revoke) as consumer:
            yield consumer

    def _deliveries(
        self, consumer: Consumer, done_with: Collection[str] = ()
    ) -> AbstractAsyncContextManager[AsyncGenerator[Delivery, None]]:
        if self._backend.features.bounded:
            return aclosing(all_there_is(consumer))
        return aclosing(until_the_end(consumer, done_with))


class _Turn:
    """One way through the dead letters.

    It ends in each stream where a letter comes that it has put back, or sent and that failed again.
    Once one was put back, all that come after it are as well, so that they keep their order.
    """

    def __init__(self, producer: Producer, consumer: Consumer) -> None:
        self.streams: set[str] = set()
        self.has_put_back: bool = False
        self._producer = producer
        self._consumer = consumer
        self._mark = (REPLAY_TURN, uuid4().hex.encode())

    def is_over_for(self, delivery: Delivery) -> bool:
        """Whether this one, and so the rest of its stream, came there in this turn."""
        if self._mark in delivery.headers:
            self._consumer.pause(delivery.lease)
            self.streams.add(delivery.lease.stream)
        return delivery.lease.stream in self.streams

    async def put_back(self, delivery: Delivery) -> None:
        """Put a letter at the end, as it is, confirmed; then it is done with here."""
        again = Message(
            delivery.topic, delivery.value, delivery.key, delivery.headers, repeats=delivery
        )
        await self.send(again)
        self._consumer.ack(delivery)
        self.has_put_back = True

    async def send(self, message: Message) -> None:
        """Send a message, confirmed, with the mark of this turn in place of any other."""
        others = [header for header in message.headers if header[0] != REPLAY_TURN]
        message.headers = [*others, self._mark]
        await self._producer.send([message])


def _check_limit(what: str, limit: object) -> None:
    if type(limit) is not int or limit < 1:
        raise ConfigurationError(
            f"DeadLetters.{what}: limit must be a whole number of at least 1, not {limit!r}"
        )


def _pause(rate: float | None) -> float:
    """Seconds after each letter."""
    if rate is None:
        return 0.0
    if type(rate) not in (int, float) or not 0 < rate < inf:
        raise ConfigurationError(
            f"DeadLetters.replay: rate must be a positive number of letters a second, not {rate!r}"
        )
    return 1 / rate


def _meaning(ids: Collection[str] | None, select: Select | None) -> Select:
    def meant(letter: DeadLetter) -> bool:
        return (ids is None or letter.id in ids) and (select is None or select(letter))

    return meant
