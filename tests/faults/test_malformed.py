"""Whatever bytes come in, a decoder answers or refuses: none raises what nobody expects.

Inputs are valid messages bent at random, in their structure and in their bytes, and plain noise.
`HEADRACE_FAULTS=full` takes a million of them; else it is fifteen thousand. To have another decoder
beaten, add it to the `DECODERS` of its file.

Parquet recordings are not among them: of some damaged files polars asks for 2^61 bytes, and the
process ends with it. Such a file is the user's own and comes over no wire.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

INPUTS = 1_000_000 if os.environ.get("HEADRACE_FAULTS") == "full" else 15_000
SEED = 3
# What the process may grow by once a fifth of the inputs was taken.
MAX_GROWTH_KIB = 16 << 10
MOST_BYTES = 4 << 30
METADATA = ("root", "timestamp", "snapshot", "targets", "rollouts")


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# First: the others import it.
_load("bending")
SPARKPLUG = _load("decoders_sparkplug")
DEVICES = _load("decoders_devices")
CLOUD = _load("decoders_cloud")


def memory_kib(kind: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return int(text.partition(f"{kind}:")[2].split()[0])


@pytest.fixture
def bounded() -> Iterator[None]:
    """Let what asks for gigabytes fail, and not the machine."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, ((memory_kib("VmSize") << 10) + MOST_BYTES, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def silence() -> Iterator[None]:
    """A warning for each of a million inputs would be read by nobody."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
    structlog.configure(**before)


@pytest.fixture
def decoders(tmp_path: Path, update_repository: Any) -> list[Any]:
    update_repository.roll_out("riverside", {"kind": "model", "rollout": "r", "version": "2"})
    update_repository.publish()
    root = update_repository.roles["root"]
    root.signed.version += 1
    root.sign(update_repository.offline)
    metadata = {role: update_repository.roles[role].to_bytes() for role in METADATA}
    return [
        *SPARKPLUG.DECODERS,
        *DEVICES.decoders(tmp_path, update_repository.root_bytes, metadata),
        *CLOUD.DECODERS,
    ]


@pytest.mark.usefixtures("silence", "bounded")
def test_every_decoder_answers_or_refuses(
    decoders: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(SEED)
    answered: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    began = time.monotonic()
    warm = 0
    # The processor's sequences hold what came after a gap: full within the first fifth.
    for number in range(INPUTS):
        if number == INPUTS // 5:
            # The peak counts from here: what is taken and given back was there too.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
            warm = memory_kib("VmRSS")
        decoder = decoders[number % len(decoders)]
        content = decoder.malformed(rng)
        try:
            decoder.decode(content)
            answered[decoder.name] += 1
        except decoder.refuses:
            refused[decoder.name] += 1
        except Exception as error:
            raise AssertionError(f"{decoder.name}: {content.hex()}") from error
    grown = memory_kib("VmHWM") - warm

    with capsys.disabled():
        print(  # noqa: T201 (its counts are its result)
            f"\nmalformed: {INPUTS} inputs over {len(decoders)} decoders, "
            f"{answered.total()} answered, {refused.total()} refused, 0 raised, "
            f"peak of resident memory {grown:+} KiB, {time.monotonic() - began:.0f} s"
        )
        for decoder in decoders:
            name = decoder.name
            print(f"  {name:28}{answered[name]:8} answered{refused[name]:8} refused")  # noqa: T201
    assert answered.total() + refused.total() == INPUTS
    # Both happen to each: what is bent is neither always noise nor always good.
    assert all(answered[decoder.name] for decoder in decoders)
    assert all(refused[decoder.name] for decoder in decoders if decoder.refuses)
    assert grown < MAX_GROWTH_KIB
