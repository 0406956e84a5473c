"""A task ends even when the cancellation that it was sent gets lost."""

from __future__ import annotations

import asyncio
import gc

from edge_agent.cancellation import end


async def test_a_cancellation_that_comes_with_the_answer_is_not_the_last() -> None:
    answer = asyncio.Event()

    async def publish_then_listen() -> None:
        await asyncio.wait_for(answer.wait(), 30)
        await asyncio.Event().wait()

    task = asyncio.create_task(publish_then_listen())
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    # In this turn both come; Python 3.11's wait_for gives the answer and forgets the cancellation.
    answer.set()
    await end(task, again_s=0.01)

    assert task.cancelled()


async def test_a_task_that_leaves_in_good_order_is_not_disturbed() -> None:
    left = asyncio.Event()

    async def leave() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            left.set()

    task = asyncio.create_task(leave())
    await asyncio.sleep(0)

    await end(task, again_s=60)

    assert left.is_set()


async def test_what_a_task_raises_while_it_leaves_is_no_trouble() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))

    async def leave() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError("the broker went first")

    task = asyncio.create_task(leave())
    await asyncio.sleep(0)

    await end(task, again_s=60)
    assert task.done()
    del task
    gc.collect()

    assert complaints == []
