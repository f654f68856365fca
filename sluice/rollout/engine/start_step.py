"""The step at which a rollout begins that was lost: the steps before it were carried out already."""

from sluice.rollout.analysis.gate import GateKind
from sluice.rollout.plan.schema import RolloutPlan


def start_step_problem(plan: RolloutPlan, name: str) -> str:
    """Return the reason why the rollout can't begin at the step, or an empty text.

    A gate relative to the baseline needs the step that records it.
    """
    names = [step.name for step in plan.steps]
    if not name or name == names[0]:
        return ""
    if name not in names:
        return f"the plan has no step {name!r}; it has {', '.join(names)}"
    index = names.index(name)
    recorded = next((step.name for step in plan.steps[:index] if step.record_baseline), "")
    rules = [gate for _, gate in plan.rules()]
    if recorded and any(gate.kind is GateKind.BASELINE for gate in rules):
        return (
            f"gates compare with the baseline that {recorded} records; begin at {recorded}, or give "
            "them kind: control or a fixed threshold"
        )
    return ""
