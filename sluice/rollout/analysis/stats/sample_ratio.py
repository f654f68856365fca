"""Sample-ratio mismatch: do the cohorts' users come in the proportion that the flag promises?

The Dirichlet–multinomial e-process of Lindon and Malek ("Anytime-valid inference for multinomial
count data", NeurIPS 2022). Users, each once: requests come in bursts and prove nothing. When the
share changes, the evidence so far is kept and a new factor begins; products of such factors are
e-processes again.
"""

import math
from functools import reduce
from typing import Annotated

from pydantic import Field

from sluice.rollout.analysis.gate import Model
from sluice.rollout.analysis.stats.e_process import Count, Share
from sluice.rollout.analysis.stats.result import (
    SequentialResult,
    format_estimated_count,
    judge_evidence,
)


class SampleRatioBlock(Model):
    """Users first seen between two looks, while the flag gave ``share`` the treatment."""

    treatment: Count
    control: Count
    share: Share


class SampleRatioState(Model):
    """Users at the present share, and the evidence of the shares before it."""

    share: float = 0.5
    treatment: float = 0.0
    control: float = 0.0
    log_before: float = 0.0
    log_peak: float = 0.0


class SampleRatioTest(Model):
    """Are the cohorts as large as the flag's percentage says? A mismatch voids every comparison.

    ``concentration``: how close to the promised share a mismatch is sought; higher is closer.
    """

    name: str = "users"
    concentration: Annotated[float, Field(gt=0, le=1e6)] = 100.0

    def start(self) -> SampleRatioState:
        return SampleRatioState()

    def update(self, state: SampleRatioState, *blocks: SampleRatioBlock) -> SampleRatioState:
        return reduce(self._add_block, blocks, state)

    def _add_block(self, state: SampleRatioState, block: SampleRatioBlock) -> SampleRatioState:
        if block.share != state.share:
            before = self.log_e(state)
            state = SampleRatioState(share=block.share, log_before=before, log_peak=state.log_peak)
        users = {
            "treatment": state.treatment + block.treatment,
            "control": state.control + block.control,
        }
        after = state.model_copy(update=users)
        return after.model_copy(update={"log_peak": max(state.log_peak, self.log_e(after))})

    def log_e(self, state: SampleRatioState) -> float:
        share, t, c = state.share, state.treatment, state.control
        prior = (self.concentration * share, self.concentration * (1 - share))
        marginal = _log_beta(prior[0] + t, prior[1] + c) - _log_beta(*prior)
        return state.log_before + marginal - t * math.log(share) - c * math.log1p(-share)

    def result(self, state: SampleRatioState, alpha: float) -> SequentialResult:
        users = state.treatment + state.control
        part = state.treatment / users if users else 0.0
        facts = (
            f"{self.name}: {format_estimated_count(state.treatment)} of {format_estimated_count(users)} with treatment "
            f"({part:.2%}), {state.share:.2%} promised"
        )
        claim = "a sample-ratio mismatch"
        return judge_evidence(claim, facts, (self.log_e(state), state.log_peak), alpha)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
