"""What the demo's users ask: a few hundred questions with known answers, some asked far more often.

How often follows the Zipf–Mandelbrot law, as query logs do: most requests repeat one that came a
moment ago, and a long tail keeps coming that no cache has seen. At 60 requests a second 98 % repeat
after a minute; 180 requests into a cache of their own, 83 % do.
"""

import random
from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate

from sluice.demo.company import build_company
from sluice.demo.company.questions import graph, metadata, out_of_scope, semantic, temporal
from sluice.demo.company.questions.labeled_question import LabeledQuestion
from sluice.demo.company.seeded_random import random_stream, shuffled

__all__ = ["LabeledQuestion", "ZipfSampler", "generate_questions"]

ZIPF_EXPONENT = 2.0
ZIPF_OFFSET = 8


def generate_questions(seed: int = 7) -> list[LabeledQuestion]:
    """Distinct questions, the most popular first; the same seed gives the same list."""
    world = build_company(seed)
    asked = [
        *graph.questions(world, random_stream(seed, "asking/graph")),
        *temporal.questions(world, random_stream(seed, "asking/temporal")),
        *metadata.questions(world, random_stream(seed, "asking/metadata")),
        *semantic.questions(world, random_stream(seed, "asking/semantic")),
        *out_of_scope.questions(),
    ]
    distinct = list({question.text.lower(): question for question in asked}.values())
    return shuffled(random_stream(seed, "asking/popularity"), distinct)


class ZipfSampler:
    """Draws questions: rank r has a weight of (r + offset) to the power of minus the exponent."""

    def __init__(self, questions: Sequence[LabeledQuestion]) -> None:
        self._questions = questions
        ranks = range(1, len(questions) + 1)
        self._sums = list(accumulate((rank + ZIPF_OFFSET) ** -ZIPF_EXPONENT for rank in ranks))

    def draw(self, rng: random.Random) -> LabeledQuestion:
        return self._questions[bisect(self._sums, rng.random() * self._sums[-1])]

    def shares(self) -> list[float]:
        """Share of all requests, in the order of the questions; they sum to one."""
        before = [0.0, *self._sums[:-1]]
        return [
            (end - start) / self._sums[-1] for start, end in zip(before, self._sums, strict=True)
        ]
