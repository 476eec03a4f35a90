"""What is done to the cluster and to the members, each a fault that is drawn by a seed."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from cluster.stage import SESSION, Stage

Torment = Callable[[Stage, random.Random], Awaitable[None]]


async def rolling_restart(stage: Stage, draw: random.Random) -> None:
    """Each node in turn is ended in order, and started."""
    for node in stage.cluster.nodes.values():
        await asyncio.to_thread(node.stop)
        await asyncio.to_thread(node.start)


async def rolling_kill(stage: Stage, draw: random.Random) -> None:
    """Each node in turn is killed, and started."""
    for node in stage.cluster.nodes.values():
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.start)


async def node_killed(stage: Stage, draw: random.Random) -> None:
    """Any node is killed, and started a moment later."""
    node = stage.cluster.nodes[draw.choice(list(stage.cluster.nodes))]
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(2 * draw.random())
    await asyncio.to_thread(node.start)


async def coordinator_killed(stage: Stage, draw: random.Random) -> None:
    """The node that coordinates the group is killed, and started."""
    node = stage.cluster.nodes[await stage.cluster.coordinator(stage.scene.group)]
    await asyncio.to_thread(node.kill)
    await asyncio.sleep(2 * draw.random())
    await asyncio.to_thread(node.start)


async def leader_hangs(stage: Stage, draw: random.Random) -> None:
    """The node that leads a partition says nothing for a while."""
    await _hang(stage, await stage.cluster.leader(stage.scene.topic), 1 + 4 * draw.random())


async def coordinator_hangs(stage: Stage, draw: random.Random) -> None:
    """The node that coordinates the group says nothing for a while."""
    await _hang(stage, await stage.cluster.coordinator(stage.scene.group), 1 + 4 * draw.random())


async def two_of_three_down(stage: Stage, draw: random.Random) -> None:
    """Two nodes are killed: nothing can be written until one of them is back."""
    numbers = draw.sample(list(stage.cluster.nodes), 2)
    await asyncio.gather(
        *(asyncio.to_thread(stage.cluster.nodes[number].kill) for number in numbers)
    )
    await asyncio.sleep(2)
    await asyncio.to_thread(stage.cluster.start)


async def node_suspended(stage: Stage, draw: random.Random) -> None:
    """The process of a node stands still for longer than the others wait for it."""
    node = stage.cluster.nodes[draw.choice(list(stage.cluster.nodes))]
    node.suspend()
    try:
        await asyncio.sleep(4)
    finally:
        node.resume()


async def connections_reset(stage: Stage, draw: random.Random) -> None:
    """Every connection to a node ends."""
    stage.cluster.reset(draw.choice(list(stage.cluster.nodes)))


async def node_refuses(stage: Stage, draw: random.Random) -> None:
    """A node cannot be reached by the services for a while."""
    number = draw.choice(list(stage.cluster.nodes))
    stage.cluster.refuse(number)
    try:
        await asyncio.sleep(1 + 3 * draw.random())
    finally:
        stage.cluster.open(number)


async def node_delays(stage: Stage, draw: random.Random) -> None:
    """A node answers late for a while."""
    number = draw.choice(list(stage.cluster.nodes))
    stage.cluster.delay(number, 0.2)
    try:
        await asyncio.sleep(2 + 2 * draw.random())
    finally:
        stage.cluster.open(number)


async def disk_full(stage: Stage, draw: random.Random) -> None:
    """A node can write nothing any more: it gives up, and is started when there is room again."""
    node = stage.cluster.nodes[draw.choice(list(stage.cluster.nodes))]
    node.fill_disk()
    for _ in range(100):
        if not node.running:
            break
        await asyncio.sleep(0.1)
    await asyncio.to_thread(node.kill)
    await asyncio.to_thread(node.start)


async def member_killed(stage: Stage, draw: random.Random) -> None:
    """A member is killed, and another one comes."""
    draw.choice(stage.members).kill()
    await stage.join()


async def member_stopped(stage: Stage, draw: random.Random) -> None:
    """A member ends in order, and another one comes."""
    await draw.choice(stage.members).stopped()
    await stage.join()


async def member_comes_and_goes(stage: Stage, draw: random.Random) -> None:
    """One more member comes, and ends in order."""
    member = await stage.join()
    await asyncio.sleep(draw.random())
    await member.stopped()


async def member_suspended(stage: Stage, draw: random.Random) -> None:
    """A member stands still for longer than its session."""
    await stage.suspend(draw.choice(stage.members), SESSION + 3 + draw.random())


async def member_cut_off(stage: Stage, draw: random.Random) -> None:
    """One member reaches no node for longer than its session, while the others go on."""
    await stage.join(stage.cluster.one)
    await stage.flow()
    stage.cluster.cut_off()
    try:
        await asyncio.sleep(2 * SESSION + 4 * draw.random())
    finally:
        stage.cluster.join_again()


async def _hang(stage: Stage, number: int, seconds: float) -> None:
    stage.cluster.hang(number)
    try:
        await asyncio.sleep(seconds)
    finally:
        stage.cluster.open(number)


TORMENTS: Final[Mapping[str, Torment]] = {
    torment.__name__: torment
    for torment in (
        rolling_restart,
        rolling_kill,
        node_killed,
        coordinator_killed,
        leader_hangs,
        coordinator_hangs,
        two_of_three_down,
        node_suspended,
        connections_reset,
        node_refuses,
        node_delays,
        disk_full,
        member_killed,
        member_stopped,
        member_comes_and_goes,
        member_suspended,
        member_cut_off,
    )
}

QUICK: Final = (
    "node_killed",
    "coordinator_killed",
    "leader_hangs",
    "coordinator_hangs",
    "connections_reset",
    "connections_reset",
    "node_refuses",
    "node_delays",
    "member_killed",
    "member_stopped",
    "member_comes_and_goes",
)
"""Those of a mixed run, some of them more likely; the others take longer than all of these."""
