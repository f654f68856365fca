"""Draws what ``sluice watch`` shows of a running rollout now, as SVG: the README's picture.

python -m ops.watch_svg FLAG FILE
"""

import asyncio
import io
import sys
from datetime import UTC, datetime

from rich.console import Console

from sluice.cli.clients.rollouts import Rollouts
from sluice.cli.context import Context
from sluice.cli.views.rollout import rollout_panel

COLUMNS = 110


async def write_svg(flag: str, path: str) -> None:
    """Ask the rollout for its state and write the picture."""
    rollouts = Rollouts(await Context.read().connect_temporal())
    state, waiting = await rollouts.fetch_state(flag), await rollouts.fetch_waiting(flag)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(rollout_panel(state, waiting, datetime.now(UTC), {}))
    console.save_svg(path, title=f"sluice watch {flag}")


if __name__ == "__main__":
    asyncio.run(write_svg(sys.argv[1], sys.argv[2]))
