"""Draws what ``sluice watch`` shows of a running rollout now, as SVG: the README's picture.

python -m ops.watch_picture FLAG FILE
"""

import asyncio
import io
import sys
from datetime import UTC, datetime

from rich.console import Console

from cli.context import Context
from cli.rollouts import Rollouts
from cli.screen import screen

COLUMNS = 110


async def draw(flag: str, path: str) -> None:
    """Ask the rollout for its state and write the picture."""
    rollouts = Rollouts(await Context.read().temporal())
    state, waiting = await rollouts.state(flag), await rollouts.waiting(flag)
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(screen(state, waiting, datetime.now(UTC), {}))
    console.save_svg(path, title=f"sluice watch {flag}")


if __name__ == "__main__":
    asyncio.run(draw(sys.argv[1], sys.argv[2]))
