"""The questions of the demo's users: a few hundred with known answers.

Their frequencies follow the Zipf–Mandelbrot law, as query logs do. Most requests repeat a recent one;
a long tail is new to every cache. At 60 requests a second 98 % repeat
after a minute; 180 requests into a new cache, 83 % do.
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
    """Return distinct questions, the most popular first; the same seed gives the same list."""
    world = build_company(seed)
    labeled = [
        *graph.questions(world, random_stream(seed, "asking/graph")),
        *temporal.questions(world, random_stream(seed, "asking/temporal")),
        *metadata.questions(world, random_stream(seed, "asking/metadata")),
        *semantic.questions(world, random_stream(seed, "asking/semantic")),
        *out_of_scope.questions(),
    ]
    distinct = list({question.text.lower(): question for question in labeled}.values())
    return shuffled(random_stream(seed, "asking/popularity"), distinct)


class ZipfSampler:
    """Sampler of questions: rank r has the weight (r + offset) ** -exponent."""

    def __init__(self, questions: Sequence[LabeledQuestion]) -> None:
        self._questions = questions
        ranks = range(1, len(questions) + 1)
        self._sums = list(accumulate((rank + ZIPF_OFFSET) ** -ZIPF_EXPONENT for rank in ranks))

    def draw(self, rng: random.Random) -> LabeledQuestion:
        return self._questions[bisect(self._sums, rng.random() * self._sums[-1])]

    def shares(self) -> list[float]:
        """Return the share of each question; the shares sum to one."""
        before = [0.0, *self._sums[:-1]]
        return [
            (end - start) / self._sums[-1] for start, end in zip(before, self._sums, strict=True)
        ]
