"""Several things at once end together, whatever becomes of the one who waits for them."""

from __future__ import annotations

import asyncio

import pytest

from stream_processor.tasks import all_of, first_of


class Leaving:
    """Needs a moment to leave in good order, and loses the first cancellation if it `forgets`."""

    def __init__(self, forgets: bool = False) -> None:
        self.left, self.forgets = False, forgets
        self.begun = asyncio.Event()

    async def run(self) -> None:
        self.begun.set()
        while not self.left:
            try:
                await asyncio.Event().wait()
            finally:
                if self.forgets:
                    self.forgets = False
                    continue  # noqa: B012
                await asyncio.sleep(0.01)
                self.left = True


async def fails(*parts: Leaving) -> None:
    for part in parts:
        await part.begun.wait()
    raise ValueError("it fails")


@pytest.mark.parametrize("forgets", [False, True])
async def test_the_others_have_left_when_the_first_failed(forgets: bool) -> None:
    parts = [Leaving(forgets), Leaving()]
    with pytest.raises(ValueError, match="it fails"):
        await first_of(*(part.run() for part in parts), fails(*parts))
    assert all(part.left for part in parts)


async def test_the_others_have_left_when_it_is_told_to_end_twice() -> None:
    part = Leaving()
    waiting = asyncio.create_task(first_of(part.run()))
    await part.begun.wait()
    waiting.cancel()
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(asyncio.all_tasks()) == 1


async def test_all_of_waits_for_all_or_the_first_failure() -> None:
    done: list[int] = []

    async def note(number: int) -> None:
        await asyncio.sleep(0)
        done.append(number)

    await all_of(note(1), note(2))
    assert sorted(done) == [1, 2]
    part = Leaving()
    with pytest.raises(ValueError, match="it fails"):
        await all_of(part.run(), fails(part))
    assert part.left
