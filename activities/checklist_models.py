"""What goes into the checklist's activity and comes out of it."""

from datetime import datetime

from rollout.checklist import Answer, Item
from rollout.gate import Gate, Metric, Model
from rollout.reading import Reading


class ItemsRequest(Model):
    """Look at ``items`` at ``at``; ``baselines`` are what ``check: metrics`` asks Prometheus for."""

    rollout_id: str
    step: str
    environment: str
    at: datetime
    items: tuple[Item, ...]
    metrics: dict[str, Metric]
    baselines: tuple[Gate, ...] = ()
    baseline: dict[str, Reading]


class ItemsResult(Model):
    """One answer for each item that was asked about, in the same order."""

    answers: tuple[Answer, ...]


class Found(Model):
    """What the site says about one thing: whether it is well, and the sentence that says why."""

    passed: bool
    because: str
