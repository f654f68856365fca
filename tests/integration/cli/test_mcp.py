"""An agent reads and lowers through the official MCP client, and can raise nothing."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import TextContent
from redis.asyncio import Redis

from sluice.cli.commands.mcp import RaisingVerb, propose
from sluice.flags import FeatureFlags, FlagReader, announce
from tests.free_port import free_port

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
SLUICE = str(Path(sys.executable).with_name("sluice"))
FLAG = "New.ranking"  # every name that the store accepts


@asynccontextmanager
async def agent(redis_url: str) -> AsyncIterator[ClientSession]:
    """Start `sluice mcp` and connect to it as an agent does."""
    environment = {**os.environ, "REDIS_URL": redis_url}
    server = StdioServerParameters(command=SLUICE, args=["mcp"], env=environment)
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        yield session


async def call(session: ClientSession, tool: str, **arguments: str) -> tuple[bool, str]:
    """Return whether the tool failed, and its text."""
    result = await session.call_tool(tool, arguments)
    (content,) = result.content
    assert isinstance(content, TextContent)
    return bool(result.is_error), content.text


async def test_an_agent_lowers_and_only_proposes_to_raise(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        flags = FeatureFlags(redis)
        await flags.create_flag(FLAG, rollout_percentage=25)
        async with asyncio.timeout(120), agent(redis_url) as session:
            names = {tool.name for tool in (await session.list_tools()).tools}
            assert {"status", "explain", "pause", "abort", "kill", "propose"} <= names
            assert not {"start", "approve", "promote", "resume", "retry", "unkill"} & names
            failed, text = await call(session, "lint", plan=str(ROOT / "plans" / "phase4.yaml"))
            assert not failed, text
            failed, text = await call(session, "kill", flag=FLAG, reason="errors in the logs")
            assert not failed, text
            forged = "fixed\n    sluice kill all\u001b[2J' && rm -r ~"
            failed, text = await call(
                session, "propose", verb="unkill", subject=FLAG, reason=forged
            )
            first, line = text.splitlines()
            assert first.startswith("Not run")
            assert line.startswith(f"    sluice flags unkill '{FLAG}' -m '"), (
                "one command, shown whole"
            )
            assert line.count("'") == 4
            assert "\u001b" not in text
            failed, text = await call(session, "kill", flag="--help", reason="x")
            assert failed
            assert "write the flag's name" in text
            failed, text = await call(session, "lint", plan="x" * 300_000)
            assert failed
            assert "did not start: Argument list too long" in text
        killed = await flags.get_flag(FLAG)
        (entry,) = [one for one in await flags.history(FLAG) if one.action == "kill"]
    assert killed.killed
    assert (entry.metadata.actor, entry.metadata.reason) == ("agent (mcp)", "errors in the logs")


async def test_a_reason_that_a_command_would_refuse_does_not_keep_traffic_up(
    redis_url: str,
) -> None:
    async with Redis.from_url(redis_url) as redis:
        flags = FeatureFlags(redis)
        await flags.create_flag(FLAG, rollout_percentage=25)
        async with asyncio.timeout(120), agent(redis_url) as session:
            reason = "\u001b[2J" + "x" * 200_000
            failed, text = await call(session, "kill", flag=FLAG, reason=reason)
            assert not failed, text
        assert (await flags.get_flag(FLAG)).killed


@pytest.mark.parametrize(
    ("verb", "subject", "item", "line"),
    [
        ("start", "plans/phase4.yaml", "", "start 'plans/phase4.yaml'"),
        ("attest", FLAG, "cto-approval", f"attest 'cto-approval' --flag '{FLAG}'"),
        ("acknowledge", FLAG, "queue\n'x", f"acknowledge 'queue\\n’x' --flag '{FLAG}'"),
        ("amend", FLAG, "a.b.window=5m", f"amend '{FLAG}' --set 'a.b.window=5m'"),
    ],
)
async def test_a_proposal_is_the_whole_command(
    verb: RaisingVerb, subject: str, item: str, line: str
) -> None:
    text = await propose(verb, subject, "ok", item)
    assert text.splitlines()[1:] == [f"    sluice {line} -m 'ok'"]


@pytest.mark.parametrize(("subject", "item"), [(FLAG, ""), (FLAG, "--for"), ("a flag", "item")])
async def test_a_proposal_that_could_not_run_is_refused(subject: str, item: str) -> None:
    with pytest.raises(ToolError, match="write the"):
        await propose("attest", subject, "ok", item)


@asynccontextmanager
async def agent_elsewhere(redis_url: str) -> AsyncIterator[ClientSession]:
    """Start `sluice mcp` on a port and connect to it over streamable HTTP."""
    port = free_port()
    arguments = ("mcp", "--transport", "streamable-http", "--port", str(port))
    environment = {**os.environ, "REDIS_URL": redis_url}
    process = await asyncio.create_subprocess_exec(SLUICE, *arguments, env=environment)
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        url = f"http://127.0.0.1:{port}/mcp"
        async with streamable_http_client(url) as streams, ClientSession(*streams[:2]) as session:
            await session.initialize()
            yield session
    finally:
        process.terminate()
        await process.wait()


async def test_an_agent_elsewhere_has_the_same_tools(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        flags = FeatureFlags(redis)
        await flags.create_flag(FLAG, rollout_percentage=25)
        async with asyncio.timeout(120), agent_elsewhere(redis_url) as session:
            failed, text = await call(session, "kill", flag=FLAG, reason="errors in the logs")
            assert not failed, text
            failed, text = await call(session, "propose", verb="retry", subject=FLAG, reason="ok")
            assert text.endswith(f"sluice retry '{FLAG}' -m 'ok'")
            reader = FlagReader(redis_url)
            reader.start()
            with closing(announce(reader)):
                failed, text = await call(session, "ask", question="who ships to Hamburg?")
            reader.stop()
            assert failed
            assert "is not a router" in text, "a process of another service is passed over"
        assert (await flags.get_flag(FLAG)).killed
