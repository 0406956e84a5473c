"""What the server counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

POINTS_MESSAGES = Counter(
    "headrace_cloud_api_points_messages_total", "Messages of points kept in the historian"
)
POINTS_REJECTED = Counter(
    "headrace_cloud_api_points_rejected_total", "Messages of points that could not be decoded"
)
HISTORIAN_WRITE_SECONDS = Histogram(
    "headrace_cloud_api_historian_write_seconds", "Time to make one batch durable"
)
HISTORIAN_FAILURES = Counter(
    "headrace_cloud_api_historian_failures_total", "Batches the historian refused, tried again"
)
HISTORIAN_BATCH_MESSAGES = Histogram(
    "headrace_cloud_api_historian_batch_messages",
    "Messages in a batch",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)
HISTORIAN_BYTES = Gauge(
    "headrace_cloud_api_historian_bytes", "Disk that the historian uses, and has free", ["kind"]
)
HISTORIAN_ROWS = Gauge(
    "headrace_cloud_api_historian_rows", "What the historian keeps, by level", ["level"]
)
HISTORIAN_WAVEFORM_BYTES = Gauge(
    "headrace_cloud_api_historian_waveform_bytes", "Bytes of the waveforms that are kept"
)
HISTORIAN_EXPIRED = Gauge(
    "headrace_cloud_api_historian_expired_points",
    "Points left out since the start, older than what is kept of their series",
)
LIVE_CLIENTS = Gauge("headrace_cloud_api_live_clients", "Browsers that watch")
LIVE_LAGGING = Counter(
    "headrace_cloud_api_live_lagging_total", "Times a browser was too slow and skipped messages"
)
SIGN_IN_FAILURES = Counter("headrace_cloud_api_sign_in_failures_total", "Wrong passwords")
FLEET_MESSAGES = Counter(
    "headrace_cloud_api_fleet_messages_total", "Reports and outcomes of gateways that were kept"
)
FLEET_REJECTED = Counter(
    "headrace_cloud_api_fleet_rejected_total", "Reports and outcomes that could not be kept"
)
