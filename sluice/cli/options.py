"""Parameters that several commands share. It imports no driver, because every command imports it."""

import re
from pathlib import Path
from typing import Annotated

import typer

from sluice.rollout.printable import unprintable_problem


def require_printable(text: str) -> str:
    """Return ``text``; refuse control characters, which forge lines in terminals and git trailers."""
    if problem := unprintable_problem(text, one_line=True):
        raise typer.BadParameter(problem)
    return text


FlagArgument = Annotated[
    str | None, typer.Argument(help="The flag; may be left out when one rollout runs.")
]
ReasonOption = Annotated[
    str,
    typer.Option(
        "--reason", "-m", help="The reason, kept in the timeline.", callback=require_printable
    ),
]
ActorOption = Annotated[
    str,
    typer.Option(
        "--by", help="The actor; default: SLUICE_ACTOR, or you.", callback=require_printable
    ),
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
