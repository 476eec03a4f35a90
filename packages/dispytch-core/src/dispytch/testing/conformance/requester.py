"""A requester, to be killed by the tests: ``python -m dispytch.testing.conformance.requester``.

It makes requests with the kit's events, all at once, and waits for their answers.
"""

import argparse
import asyncio
import logging

from dispytch import EventEmitter
from dispytch.testing.conformance.events import Counted


async def ask(options: argparse.Namespace) -> None:
    """Make the requests, and wait as long as it takes."""
    async with EventEmitter(options.url) as emitter:
        await asyncio.gather(
            *(
                emitter.request(
                    Counted(topic=options.topic, key=options.key, number=number),
                    reply=object,
                    timeout=600,
                )
                for number in range(options.count)
            )
        )


def arguments() -> argparse.ArgumentParser:
    """What it may be told."""
    parser = argparse.ArgumentParser(description="A requester that asks with the kit's events.")
    parser.add_argument("url")
    parser.add_argument("--topic", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--count", type=int, required=True)
    return parser


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(ask(arguments().parse_args()))
