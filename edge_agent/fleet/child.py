"""Work beside the agent, in a process of its own: its libraries and its crashes stay there."""

from __future__ import annotations

import asyncio
import sys


class ChildError(RuntimeError):
    """The process did not end in time."""


async def run(*arguments: str, timeout_s: float) -> tuple[int, bytes]:
    """Run `python -m …`; return its exit code, negative for a signal, and what it printed.

    Its log goes where ours goes. It never outlives this call.

    Raises:
        ChildError: it was ended because it took longer than `timeout_s`.
        OSError: it could not be started.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise ChildError(f"{arguments[0]}: no end after {timeout_s:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, output
