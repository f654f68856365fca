"""One batch of updates: a pure function from weights and queue entries to new weights.

The result holds the weights and all that must change with them, so that the store can publish
everything in one atomic step.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from router.learning.decision_record import Decision, encode_vector
from router.learning.errors import LearningError, UpdateRefusedError
from router.learning.feedback import UserFeedback, reward
from router.learning.weights import ArmTotals, Weights

DEAD_LETTER_CHARS_MAX = 4_000
"""Characters of an unreadable entry that its dead letter contains."""


@dataclass(frozen=True, slots=True)
class FeedbackEntry:
    """One entry of the feedback stream; ``fields`` is None if the entry was deleted since."""

    id: str
    fields: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Update:
    """A readable entry; ``weight`` is 1/n for the user's n-th feedback within an hour."""

    query_id: str
    decision: Decision
    reward: float
    weight: float = 1.0

    def log_fields(self) -> dict[str, str]:
        """Return the fields of a line in the propensity log."""
        return {
            "query_id": self.query_id,
            "arm": self.decision.arm,
            "propensity": repr(self.decision.propensity),
            "reward": repr(self.reward),
            "context": encode_vector(self.decision.context),
            "cohort": self.decision.cohort,
            "weights_version": str(self.decision.weights_version),
        }


@dataclass(slots=True)
class Batch:
    """Changes of one batch: new weights, processed entries, dead letters and log lines."""

    weights: Weights
    acknowledged: list[str] = field(default_factory=list)
    dead_letters: list[dict[str, str]] = field(default_factory=list)
    log_entries: list[dict[str, str]] = field(default_factory=list)
    update_count: int = 0

    def payload(self) -> str:
        """Return the JSON argument of publish_batch.lua."""
        return json.dumps(
            {
                "ack": self.acknowledged,
                "dead": [_flatten(fields) for fields in self.dead_letters],
                "log": [_flatten(fields) for fields in self.log_entries],
            }
        )


def learn(
    weights: Weights, entries: Sequence[FeedbackEntry], training_cohorts: frozenset[str]
) -> Batch:
    """Apply ``entries`` in order to a copy of ``weights``; the caller sets the version.

    An unreadable entry, or one whose update is refused, becomes a dead letter with the reason.
    Entries of other cohorts than ``training_cohorts`` are only logged.
    """
    batch = Batch(replace(weights, model=weights.model.copy(), note=""))
    for entry in entries:
        batch.acknowledged.append(entry.id)
        try:
            update = parse_update(entry)
            if update.decision.cohort in training_cohorts:
                _apply_update(batch, update)
            batch.log_entries.append(update.log_fields())
        except LearningError as error:
            _add_dead_letter(batch, entry, error)
    if batch.update_count:
        totals = batch.weights.totals
        totals = replace(totals, batch_update_count=totals.batch_update_count + 1)
        batch.weights = replace(batch.weights, totals=totals)
    return batch


def parse_update(entry: FeedbackEntry) -> Update:
    """Parse an entry that ``record_feedback`` wrote. Raises LearningError for any other."""
    if entry.fields is None:
        raise LearningError("the entry was deleted before it was learned")
    try:
        document = json.loads(entry.fields["feedback"])
        feedback = UserFeedback.from_dict(document)
        decision = Decision.from_json(entry.fields["decision"])
        weight = 1.0 / max(1, int(entry.fields.get("user_number", "1")))
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LearningError(f"not a feedback entry: {error!r}") from error
    value = reward(feedback)
    if value is None:
        raise LearningError("the feedback carries no signal")
    return Update(feedback.query_id, decision, value, weight)


def _apply_update(batch: Batch, update: Update) -> None:
    decision = update.decision
    batch.weights.model.update(decision.arm, decision.context, update.reward, update.weight)
    totals = batch.weights.totals
    arms = dict(totals.arms)
    arms[decision.arm] = arms.get(decision.arm, ArmTotals()).add_reward(update.reward)
    batch.weights = replace(batch.weights, totals=replace(totals, arms=arms))
    batch.update_count += 1


def _add_dead_letter(batch: Batch, entry: FeedbackEntry, error: LearningError) -> None:
    totals = batch.weights.totals
    refused = totals.refused_updates + isinstance(error, UpdateRefusedError)
    totals = replace(totals, refused_updates=refused, dead_letters=totals.dead_letters + 1)
    batch.weights = replace(batch.weights, totals=totals)
    content = json.dumps(dict(entry.fields or {}))[:DEAD_LETTER_CHARS_MAX]
    batch.dead_letters.append(
        {"entry": entry.id, "reason": str(error)[:DEAD_LETTER_CHARS_MAX], "content": content}
    )


def _flatten(fields: Mapping[str, str]) -> list[str]:
    return [part for entry in fields.items() for part in entry]
