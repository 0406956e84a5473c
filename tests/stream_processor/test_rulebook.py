"""What a partition without a snapshot begins with."""

from __future__ import annotations

import nats
import pytest

from headrace import rule_log
from headrace.broker import Broker
from stream_processor.rulebook import before_the_log
from stream_processor.rules.rule_file import NO_RULES, rule_file
from stream_processor.settings import Settings
from stream_processor.streams import TELEMETRY, ensure

TEXT = """equipment_class = "press"
version = {0}
[[rules]]
id = "edge"
kind = "model_score"
score = "edge"
above = {0}
severity = "low"
summary = "the edge says so"
"""


async def test_it_is_what_was_in_force_before_the_oldest_message_that_is_left(
    broker: Broker,
) -> None:
    settings = Settings.from_environment(broker.environment)
    client = await nats.connect(broker.nats_url, user=broker.user, password=broker.password)
    jetstream = client.jetstream()
    with pytest.raises(rule_log.RuleLogError, match="stream processor"):
        await rule_log.apply(settings, rule_file(TEXT.format(1)), NO_RULES)
    assert await before_the_log(client) == []
    await ensure(jetstream, settings)

    async def said() -> list[tuple[str, str]]:
        return [(m.subject, m.payload.decode()) for m in await before_the_log(client)]

    places = []
    for version in (1, 2, 3):
        entry = await rule_log.apply(settings, rule_file(TEXT.format(version)), NO_RULES)
        assert entry is not None
        places.append(entry.log_sequence)
        await jetstream.publish("spBv1//0.site.NDATA.node", b"")
    # All three are read in their places in the log.
    assert await said() == []
    await jetstream.purge_stream(TELEMETRY, seq=places[1])
    assert await said() == [("rules.press", TEXT.format(1))]
    await jetstream.purge_stream(TELEMETRY)
    assert await said() == [("rules.press", TEXT.format(3))]
    # A log that was made anew has none of them.
    await jetstream.delete_stream(TELEMETRY)
    await ensure(jetstream, settings)
    assert await said() == [("rules.press", TEXT.format(3))]
    assert (await rule_log.in_force(settings))["press"].file.version == 3
    await client.close()
