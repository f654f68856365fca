"""Users of the search service: ``python load.py http://127.0.0.1:9001 http://127.0.0.1:9002``."""

import asyncio
import itertools
import random
import sys

import httpx

USERS = 400
REQUESTS_PER_SECOND = 40
WORDS = ("apples", "pears", "plums")


async def send_requests(urls: list[str]) -> None:
    """Send requests when they are due, until interrupted; a failed one changes nothing."""
    async with httpx.AsyncClient(timeout=5) as http, asyncio.TaskGroup() as running:
        for number in itertools.count():
            running.create_task(search(http, urls[number % len(urls)]))
            await asyncio.sleep(1 / REQUESTS_PER_SECOND)


async def search(http: httpx.AsyncClient, url: str) -> None:
    """Search once as a random user."""
    user = {"X-User-Id": f"user-{random.randrange(USERS)}"}  # noqa: S311  no secret
    try:
        await http.get(f"{url}/search", params={"words": random.choice(WORDS)}, headers=user)  # noqa: S311
    except httpx.HTTPError as error:
        print(f"no answer: {error!r}", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(send_requests(sys.argv[1:]))
