"""A search service with a new ranking behind a flag: two lines of it are Sluice's.

``uvicorn app:app --port 9001`` in this folder, beside ``REDIS_URL``. ``touch broken`` makes the new
ranking fail for a third of its requests, and ``rm broken`` repairs it.
"""

import random
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Header, HTTPException, Request, Response
from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sluice.flags import FlagReader, SluiceMiddleware, SluiceProvider
from sluice.flags.service.middleware import exposure

FLAG = "fast-search"
BROKEN = Path(__file__).with_name("broken")
FAILING_SHARE = 1 / 3
DOCUMENTS = ("apples and pears", "pears and plums", "plums and apples")

reader = FlagReader.from_environment()
api.set_provider(SluiceProvider(reader))
app = FastAPI()
app.add_middleware(SluiceMiddleware, flag=FLAG, reader=reader)


@app.get("/search")
async def search(words: str, x_user_id: Annotated[str, Header()]) -> dict[str, object]:
    """Search with the ranking that the flag gives the user."""
    context = EvaluationContext(targeting_key=x_user_id)
    if api.get_client().get_boolean_value(FLAG, False, context):
        return {"ranking": "new", "found": rank_by_new_order(words)}
    return {"ranking": "old", "found": [text for text in DOCUMENTS if words in text]}


@app.post("/rate", status_code=204)
async def rate(score: float, request: Request) -> None:
    """Take the user's score of the last search, 0 to 1."""
    if (exposed := exposure(request.scope)) is not None:
        exposed.rate(score)


@app.get("/metrics")
async def metrics() -> Response:
    """Answer Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def rank_by_new_order(words: str) -> list[str]:
    """Return the texts with these words, the closest to their beginning first."""
    if BROKEN.exists() and random.random() < FAILING_SHARE:  # noqa: S311  no secret depends on it
        raise HTTPException(500, "the new ranking is broken")
    return sorted((text for text in DOCUMENTS if words in text), key=lambda text: text.find(words))
