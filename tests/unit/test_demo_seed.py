"""Seeding is done once, and again as soon as a store has lost something."""

from collections.abc import Callable, Sequence

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import pytest

from demo.company import generate
from demo.seed import digest, seed
from router.embedding import LocalEmbedder
from stack import Stack

pytestmark = pytest.mark.integration


def test_digest_notices_any_change() -> None:
    assert digest(generate(7)) == digest(generate(7)) != digest(generate(8))


async def test_a_second_seed_finds_it_done_and_a_lost_record_is_written_again(
    make_stack: Callable[[Sequence[str]], Stack],
) -> None:
    environment = make_stack(("graph", "postgres", "qdrant")).environment()
    said: list[str] = []
    embedder = LocalEmbedder()  # one for all three, so that vectors are computed once
    first = await seed(environment, said.append, embedder=embedder)
    assert not first.skipped
    assert first.records == len(generate(7))
    assert (await seed(environment, embedder=embedder)).skipped
    connection = await asyncpg.connect(environment["POSTGRES_DSN"])
    await connection.execute("DELETE FROM records WHERE id = 'depot-kiel'")
    assert not (await seed(environment, embedder=embedder)).skipped
    assert await connection.fetchval("SELECT count(*) FROM records") == first.records
    await connection.close()
    assert any("writing" in line for line in said)
