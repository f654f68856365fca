"""Parameters that several commands share. It imports no driver, because every command imports it."""

from pathlib import Path
from typing import Annotated

import typer

FlagArgument = Annotated[
    str | None, typer.Argument(help="The flag; may be left out when one rollout runs.")
]
ReasonOption = Annotated[
    str, typer.Option("--reason", "-m", help="The reason, kept in the timeline.")
]
ActorOption = Annotated[str, typer.Option("--by", help="The actor; default: SLUICE_ACTOR, or you.")]
PlanArgument = Annotated[
    Path, typer.Argument(help="The plan, a YAML file such as plans/phase4.yaml.")
]


RolloutArgument = Annotated[
    str | None,
    typer.Argument(help="A flag, or a rollout's id; without one, the rollout that ran last."),
]
