"""The Horizontal Pod Autoscaler as Kubernetes documents it, for one external metric.

Source: kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale, "Algorithm
details" and "Configurable scaling behavior" (autoscaling/v2).
KEDA hands such a metric to it with the type AverageValue (keda.sh, ScaledObject specification).
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

SYNC_S = 15
TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class Rules:
    """One direction of `behavior`: its window, and at most `pods` changed in `period_s` seconds."""

    stabilization_s: int
    pods: int
    period_s: int


@dataclass(frozen=True, slots=True)
class Behavior:
    """What a ScaledObject says of when to change."""

    target: float
    minimum: int
    maximum: int
    up: Rules
    down: Rules


@dataclass(slots=True)
class Controller:
    """Decides how many replicas there are to be, every `SYNC_S` seconds."""

    behavior: Behavior
    replicas: int
    _wanted: deque[tuple[int, int]] = field(default_factory=deque)
    _changes: deque[tuple[int, int]] = field(default_factory=deque)

    def decide(self, now_s: int, metric: float | None) -> int:
        """Return the replicas from now on; a metric that cannot be had changes nothing."""
        if metric is None:
            return self.replicas
        wanted = self._stabilized(now_s, self._recommended(metric))
        wanted = min(max(wanted, self.behavior.minimum), self.behavior.maximum)
        wanted = self._limited(now_s, wanted)
        if wanted != self.replicas:
            self._changes.append((now_s, wanted - self.replicas))
            self.replicas = wanted
        return self.replicas

    def _recommended(self, metric: float) -> int:
        ratio = metric / (self.behavior.target * self.replicas)
        if abs(ratio - 1.0) <= TOLERANCE:
            return self.replicas
        return math.ceil(metric / self.behavior.target)

    def _stabilized(self, now_s: int, recommended: int) -> int:
        """Return the least of the way up and the most of the way down that were recommended."""
        up, down = self.behavior.up.stabilization_s, self.behavior.down.stabilization_s
        self._wanted.append((now_s, recommended))
        while self._wanted[0][0] <= now_s - max(up, down, SYNC_S):
            self._wanted.popleft()
        least = min([recommended, *(n for t, n in self._wanted if t > now_s - up)])
        most = max([recommended, *(n for t, n in self._wanted if t > now_s - down)])
        return min(max(self.replicas, least), most)

    def _limited(self, now_s: int, wanted: int) -> int:
        rules = self.behavior.up if wanted > self.replicas else self.behavior.down
        longest = max(self.behavior.up.period_s, self.behavior.down.period_s)
        while self._changes and self._changes[0][0] <= now_s - longest:
            self._changes.popleft()
        changed = sum(n for t, n in self._changes if t > now_s - rules.period_s)
        start = self.replicas - changed
        if wanted > self.replicas:
            return max(self.replicas, min(wanted, start + rules.pods))
        return min(self.replicas, max(wanted, start - rules.pods))
