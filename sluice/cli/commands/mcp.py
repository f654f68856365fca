"""``sluice mcp``: tools for agents, over the Model Context Protocol.

Each tool is a command of the command line with ``--json``. Tools read, or lower traffic. A command
that could raise traffic is only proposed: the agent gets the line that a person may run.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from sluice.cli.errors import Exit
from sluice.cli.options import REASON_LENGTH_MAX
from sluice.cli.output import print_note
from sluice.flags.validation import NAME_PATTERN
from sluice.rollout.printable import escape_line

ACTOR = "agent (mcp)"
COMMAND_SECONDS_MAX = 900.0
COMMANDS_AT_ONCE_MAX = 4
_SLOTS = asyncio.Semaphore(COMMANDS_AT_ONCE_MAX)
INSTRUCTIONS = (
    "Sluice rolls a change out behind a feature flag, step by step, gated by metrics. Tools read, or "
    "take traffic away (pause, abort, kill). To raise traffic, call propose and show its line to a "
    "person: you cannot run it. Report readings with their limits; no data is not a success."
)
Transport = Literal["stdio", "streamable-http"]
RaisingVerb = Literal[
    "start", "approve", "attest", "acknowledge", "amend", "promote", "resume", "retry", "unkill"
]
Tool = Callable[..., Awaitable[str]]


def mcp(
    transport: Annotated[
        str, typer.Option(help="stdio, or streamable-http for agents elsewhere.")
    ] = "stdio",
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8017,
) -> None:
    """Serve tools for agents (MCP): they read and lower traffic, and only propose what raises it.

    Over HTTP every caller is allowed: keep it on this machine, or behind a proxy that authenticates.
    """
    server = MCPServer("sluice", instructions=INSTRUCTIONS)
    for tool in TOOLS:
        server.tool()(tool)
    if transport == "stdio":
        server.run("stdio")
    elif transport == "streamable-http":
        print_note(f"MCP at http://{host}:{port}/mcp; every caller is allowed")
        server.run("streamable-http", host=host, port=port)
    else:
        raise typer.BadParameter(f"{transport!r}: write stdio or streamable-http")


async def lint(plan: str) -> str:
    """Check a plan file: mistakes and gates that cannot decide, with field and line."""
    return await _run_command("lint", "--json", "--", plan)


async def rehearse(plan: str, scenario: str = "healthy") -> str:
    """Play a plan through in seconds on synthetic metrics, with a fault (scenario)."""
    return await _run_command("rehearse", "--scenario", scenario, "--json", "--", plan)


async def backtest(plan: str, begin: str, end: str = "now") -> str:
    """Replay a plan's gates over recorded metrics; begin such as 7d or 2026-03-01."""
    return await _run_command("backtest", "--from", begin, "--to", end, "--json", "--", plan)


async def list_rollouts() -> str:
    """List all rollouts, running and ended."""
    return await _run_command("list", "--json")


async def status(flag: str) -> str:
    """Show a rollout: step, share of users, readings, what it waits for."""
    return await _run_command("status", "--json", "--", _require_flag_name(flag))


async def explain(flag: str, last: int = 10) -> str:
    """Explain the last decisions of a rollout: reading, limit, samples, rule."""
    return await _run_command(
        "explain", "--last", str(last), "--json", "--", _require_flag_name(flag)
    )


async def report(rollout: str) -> str:
    """Write a rollout's post-mortem now, also before the end, and return where it is."""
    return await _run_command("report", "--json", "--", _checked_rollout(rollout))


async def whatif(rollout: str, settings: list[str]) -> str:
    """Judge a rollout's recorded readings again under other rules: STEP.GATE.FIELD=VALUE each."""
    edits = [word for setting in settings for word in ("--set", setting)]
    return await _run_command("whatif", *edits, "--json", "--", _checked_rollout(rollout))


async def ask(question: str) -> str:
    """Ask the query router a question; the answer has its sources."""
    return await _run_command("ask", "--json", "--", question)


async def flags() -> str:
    """List the feature flags as the store has them."""
    return await _run_command("flags", "list", "--json")


async def pause(flag: str, reason: str) -> str:
    """Stay at the current percentage; red flags remain active."""
    return await _lower("pause", flag, reason)


async def abort(flag: str, reason: str) -> str:
    """End a rollout at 0 % of users."""
    return await _lower("abort", flag, reason)


async def kill(flag: str, reason: str) -> str:
    """Turn a flag off for everybody, and refuse every raise until a person clears it."""
    return await _lower("kill", flag, reason)


async def propose(verb: RaisingVerb, subject: str, reason: str, item: str = "") -> str:
    """Propose a command that may raise traffic; runs nothing.

    subject: the flag, or the plan's path for start. item: what to attest, the finding to
    acknowledge, or STEP.GATE.FIELD=VALUE to amend.
    """
    reason = _clean_reason(reason)
    words = _command_words(verb, subject, item)
    line = " ".join((*words, "-m", _quote(reason)))
    return (
        f"Not run: this may raise traffic, so a person decides. Proposed because: {reason}\n"
        f"    sluice {line}"
    )


TOOLS: tuple[Tool, ...] = (
    lint, rehearse, backtest, list_rollouts, status, explain, report, whatif, flags, ask,
    pause, abort, kill, propose,
)  # fmt: skip


async def _lower(verb: str, flag: str, reason: str) -> str:
    """Lower traffic: at once, whatever else runs, and also for a client that goes away meanwhile."""
    words = ("--by", ACTOR, f"--reason={_clean_reason(reason)}", "--json", "--")
    return await _result(await _start_process(verb, *words, _require_flag_name(flag)))


def _command_words(verb: RaisingVerb, subject: str, item: str) -> tuple[str, ...]:
    """Return the command and its arguments, quoted for a shell."""
    if verb == "start":
        return verb, _quote(_require_value("subject", subject, "write the path of a plan"))
    flag = _quote(_require_flag_name(subject))
    if verb == "unkill":
        return "flags", verb, flag
    if verb == "amend":
        return (
            verb,
            flag,
            "--set",
            _quote(_require_value("item", item, "write STEP.GATE.FIELD=VALUE")),
        )
    if verb in {"attest", "acknowledge"}:
        item = _require_value("item", item, "write the name that `status` shows")
        return verb, _quote(item), "--flag", flag
    return verb, flag


def _quote(text: str) -> str:
    """Quote for a shell, on one line, or a text could show a command of its own."""
    return "'" + escape_line(text).replace("'", "’") + "'"


def _clean_reason(reason: str) -> str:
    """Return a reason that the commands take: what lowers traffic is not refused for its reason."""
    line = escape_line(reason).strip() or "the agent gave no reason"
    return line if len(line) <= REASON_LENGTH_MAX else f"{line[: REASON_LENGTH_MAX - 1]}…"


def _checked_rollout(rollout: str) -> str:
    return _require_value("rollout", rollout, "write a flag, or a rollout's id")


def _require_value(field: str, text: str, advice: str) -> str:
    if not text or text.startswith("-"):
        raise ToolError(f"{field} {text!r}: {advice}")
    return text


def _require_flag_name(flag: str) -> str:
    if not NAME_PATTERN.fullmatch(flag):
        raise ToolError(f"flag {flag[:100]!r}: write the flag's name, such as new-ranking")
    return flag


async def _run_command(*arguments: str) -> str:
    """Run a command that reads, a few at a time: a rehearsal uses every core."""
    async with _SLOTS:
        process = await _start_process(*arguments)
        try:
            async with asyncio.timeout(COMMAND_SECONDS_MAX):
                return await _result(process)
        except TimeoutError:
            raise ToolError(f"no answer within {COMMAND_SECONDS_MAX:g} s") from None
        finally:
            if process.returncode is None:  # too slow, or the client cancelled its request
                process.kill()
                await process.wait()


async def _start_process(*arguments: str) -> asyncio.subprocess.Process:
    """Start ``sluice`` with the arguments."""
    try:
        return await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("sluice"),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except (OSError, ValueError) as error:  # an argument of 128 KiB, or with a zero byte
        problem = error.strerror if isinstance(error, OSError) else error
        raise ToolError(
            f"`sluice {arguments[0]}` did not start: {problem}; shorten the arguments, "
            "and remove control characters"
        ) from None


async def _result(process: asyncio.subprocess.Process) -> str:
    """Return the output of a command; raise ToolError with it unless the command ends with 0."""
    output, errors = await process.communicate()
    text = f"{output.decode(errors='replace')}{errors.decode(errors='replace')}".strip()
    if process.returncode != Exit.OK:
        raise ToolError(f"exit code {process.returncode}: {text}")
    return text
