from __future__ import annotations

from edge_agent.v1.acknowledgement_pb2 import Acknowledgement
from stream_processor.acknowledgement import AcknowledgementPartition, Ledger
from stream_processor.messages import Mark


class Heard(list[tuple[str, int, int]]):
    def __call__(self, topic: str, payload: bytes) -> None:
        said = Acknowledgement.FromString(payload)
        self.append((topic.removeprefix("headrace/ack/"), said.boot_epoch, said.sequence))


def test_a_mark_is_published_when_its_epoch_is_durable_and_not_before() -> None:
    heard = Heard()
    ledger = Ledger(heard)
    sink = AcknowledgementPartition(ledger)
    sink.write_batch([Mark("s", "n", 1, 4)])
    ledger.durable()
    assert heard == []
    sink.snapshot()
    assert heard == []
    sink.write_batch([Mark("s", "n", 1, 9)])
    ledger.durable()
    assert heard == [("s/n", 1, 4)]
    ledger.durable()
    assert heard == [("s/n", 1, 4)]
    sink.snapshot()
    ledger.durable()
    assert heard[-1] == ("s/n", 1, 9)


def test_the_last_word_is_of_the_newest_boot() -> None:
    heard = Heard()
    ledger = Ledger(heard)
    ledger.recovered([Mark("s", "n", 2, 5), Mark("s", "n", 1, 70), Mark("s", "m", 1, 3)])
    assert [h for h in heard if h[0] == "s/n"] == [("s/n", 1, 70), ("s/n", 2, 5)]
    heard.clear()
    ledger.collect([Mark("s", "n", 1, 71)])
    ledger.close()
    ledger.durable()
    assert heard == [("s/n", 1, 71), ("s/n", 2, 5)]
