"""The request that the pipeline answers."""

from dataclasses import dataclass

from router.answer import Cohort
from router.phases.phase_switches import CONTROL, Assignment
from sluice.flags.service.counted_user import CountedUser


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A question with its cohort, its tenant and its limits.

    ``seconds`` is the caller's own deadline, if it is shorter than the router's.
    """

    query: str
    user_id: str | None = None
    assignment: Assignment = CONTROL
    limit: int = 10
    tenant: str = "default"
    seconds: float | None = None

    @property
    def cohort(self) -> Cohort:
        return self.assignment.cohort

    @property
    def counted_user(self) -> CountedUser | None:
        return self.assignment.counted_user
