"""Parameters that several commands share. It imports no driver, because every command imports it."""

import re
from pathlib import Path
from typing import Annotated

import typer

from sluice.rollout.printable import unprintable_problem

REASON_LENGTH_MAX = 1_000
"""The audit log of flags takes no more, and an abort without a worker writes there."""
ACTOR_LENGTH_MAX = 200


def require_printable(text: str) -> str:
    """Return ``text``; refuse control characters, which forge lines in terminals and git trailers."""
    if problem := unprintable_problem(text, one_line=True):
        raise typer.BadParameter(problem)
    return text


def require_reason(text: str) -> str:
    """Return ``text``; refuse what the audit log does not take."""
    return _require_length(require_printable(text), REASON_LENGTH_MAX)


def _require_actor(text: str) -> str:
    return _require_length(require_printable(text), ACTOR_LENGTH_MAX)


def _require_length(text: str, length_max: int) -> str:
    if len(text) > length_max:
        raise typer.BadParameter(f"has {len(text):,} characters; shorten it to {length_max}")
    return text


FlagArgument = Annotated[
    str | None, typer.Argument(help="The flag; may be left out when one rollout runs.")
]
ReasonOption = Annotated[
    str,
    typer.Option(
        "--reason", "-m", help="The reason, kept in the timeline.", callback=require_reason
    ),
]
ActorOption = Annotated[
    str,
    typer.Option("--by", help="The actor; default: SLUICE_ACTOR, or you.", callback=_require_actor),
]
CohortsOption = Annotated[
    str,
    typer.Option(
        help="Label and values of the cohorts in the metrics: LABEL=TREATMENT,CONTROL.",
    ),
]
COHORTS_DEFAULT = "cohort=treatment,control"


def parse_cohorts(text: str) -> tuple[str, str, str]:
    """Split LABEL=TREATMENT,CONTROL into its three names."""
    match = re.fullmatch(r"([^=,\s]+)=([^=,\s]+),([^=,\s]+)", text.strip())
    if match is None:
        raise typer.BadParameter(
            f"cohorts {text!r}: write LABEL=TREATMENT,CONTROL, for example variant=new,old"
        )
    return match[1], match[2], match[3]


PlanArgument = Annotated[
    Path, typer.Argument(help="The plan, a YAML file such as plans/phase4.yaml.")
]


RolloutArgument = Annotated[
    str | None,
    typer.Argument(help="A flag, or a rollout's id; without one, the rollout that ran last."),
]
