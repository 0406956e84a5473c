"""Say once a second how the process is doing, to whoever listens; nothing is kept or confirmed."""

from __future__ import annotations

import threading
import time

import structlog

from stream_processor.jetstream_publisher import JetStreamPublisher
from stream_processor.status import Speaker

INTERVAL_S = 1.0
FAREWELL_S = 2.0

log = structlog.get_logger(__name__)


class StatusPublisher:
    """A thread that speaks until `stop`, and then once more."""

    def __init__(self, speaker: Speaker, publisher: JetStreamPublisher) -> None:
        self._speaker = speaker
        self._publisher = publisher
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._speak, name="status", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Say that the process ends, and end the thread."""
        self._stopping.set()
        self._thread.join(FAREWELL_S)
        self._say(ending=True)

    def _speak(self) -> None:
        while True:
            self._say(ending=False)
            if self._stopping.wait(INTERVAL_S):
                return

    def _say(self, *, ending: bool) -> None:
        try:
            status = self._speaker.status(time.monotonic() - self._began, ending=ending)
            told = self._publisher.tell(self._speaker.subject, status.SerializeToString())
            told.result(FAREWELL_S)
        except OSError as error:
            # It is news of this second: the next one says more.
            log.warning("status was not told", why=str(error) or type(error).__name__)
