"""Signing what is stored already: flags from before the keys, or after a look at them."""

from __future__ import annotations

from sluice.flags.document import FlagDocument
from sluice.flags.mutations import Mutation, MutationResult, require_flag
from sluice.flags.write_metadata import WriteMetadata


def sign(name: str) -> Mutation:
    """Sign a flag and the phases as they are stored."""

    def mutate(document: FlagDocument, change: WriteMetadata) -> MutationResult:
        flag = require_flag(document, name)
        copy = document.model_copy(update={"flags": dict(document.flags)})
        values = {"rollout_percentage": flag.rollout_percentage, "killed": flag.killed}
        return MutationResult(copy, name, "sign", values, values, asserts_phases=True, adopts=True)

    return mutate
