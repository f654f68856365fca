"""The flags server: OFREP over a snapshot in memory, and counting of reported outcomes.

Contract: `service/openapi.yaml` of github.com/open-feature/protocol, version 0.3; `openapi.yaml`
here says the same of our answers. The snapshot expires by the same lease as in any other process.
Before its first read every flag resolves to False: a 404 would leave the caller's default in force.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from xxhash import xxh3_64_hexdigest

from sluice.flags.errors import FlagError
from sluice.flags.redis.reader import FlagReader
from sluice.flags.redis.urls import connect
from sluice.flags.resolution import FLAG_NOT_FOUND
from sluice.flags.server.access import Endpoint, guarded, key_of
from sluice.flags.server.answers import answer_of
from sluice.flags.server.api_keys import EVALUATE, OUTCOMES, FlagApiKeys
from sluice.flags.server.event_stream import STREAMS_PER_KEY_MAX, RevisionFeed
from sluice.flags.server.openapi import openapi_document
from sluice.flags.server.outcome_counters import OutcomeCounters
from sluice.flags.server.requests import (
    BadRequestError,
    parse_outcomes,
    parse_targeting_key,
    read_body,
)
from sluice.flags.server.single_evaluation import SingleEvaluation
from sluice.flags.service.announcement import announce
from sluice.flags.service.cohort_labels import DEFAULT_LABELS, CohortLabels

KEYS_RELOAD_SECONDS = 2.0
READY_SECONDS = 2.0
POLLING_INTERVAL_MS_MIN = 250
CONFIGURATION = {
    "name": "sluice",
    "capabilities": {
        "cacheInvalidation": {
            "polling": {
                "name": "polling",
                "enabled": True,
                "minPollingIntervalMs": POLLING_INTERVAL_MS_MIN,
            }
        },
        "flagEvaluation": {"supportedTypes": ["boolean"]},
        "caching": {"enabled": False},
    },
}
EVENTS_PATH = "/ofrep/v1/events"
INACTIVITY_SECONDS = 120
logger = logging.getLogger(__name__)


@dataclass
class FlagsServer:
    """The endpoints over one reader."""

    reader: FlagReader
    keys: FlagApiKeys
    redis: Redis
    cohorts: CohortLabels = DEFAULT_LABELS
    streams_per_key: int = STREAMS_PER_KEY_MAX
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        self.counters = OutcomeCounters(self.reader, self.redis, self.registry, self.cohorts)
        self.feed = RevisionFeed(self.reader, self.streams_per_key)
        streams = Gauge("sluice_flag_streams", "Open event streams", registry=self.registry)
        streams.set_function(lambda: self.feed.streams)

    def application(self) -> Starlette:
        """Return the ASGI application; its lifespan starts the reader and announces the process."""
        application = Starlette(
            routes=[
                self._post("/ofrep/v1/evaluate/flags", self.evaluate_all, EVALUATE),
                Route(EVENTS_PATH, self.events),
                Route("/ofrep/v1/configuration", guarded(self.configuration, self.keys, EVALUATE)),
                self._post("/outcomes", self.record_outcomes, OUTCOMES),
                Route("/openapi.json", _openapi),
                Route("/healthz", _healthz),
                Route("/readyz", self.readyz),
                Route("/metrics", self.metrics),
            ],
            middleware=[Middleware(SingleEvaluation, self.reader, self.keys)],
            lifespan=self._lifespan,
            exception_handlers={Exception: _internal_error},
        )
        application.state.feed = self.feed
        return application

    async def evaluate_all(self, request: Request) -> Response:
        """Resolve every flag (OFREP bulk evaluation)."""
        try:
            user = parse_targeting_key(await read_body(request.receive))
        except BadRequestError as error:
            return JSONResponse({"errorCode": error.code, "errorDetails": error.details}, 400)
        await self.feed.catch_up(request.query_params.get("flagConfigEtag", ""))
        revision, stream = self.feed.current(), self._stream_uri(request)
        etag = _etag(f"{revision.id} {stream} {user}".encode())
        if _has_etag(request, etag):
            return Response(status_code=304, headers={"ETag": etag})
        document = {
            "flags": [
                answer_of(self.reader, name, user) for name in sorted(self.reader.snapshot().flags)
            ],
            "metadata": {"version": revision.version, "stale": revision.stale},
            "eventStreams": [
                {
                    "type": "sse",
                    "endpoint": {"requestUri": stream},
                    "inactivityDelaySec": INACTIVITY_SECONDS,
                }
            ],
        }
        # The lease may have ended meanwhile: such an answer is not one to come back to.
        is_consistent = self.feed.current() == revision
        return JSONResponse(document, headers={"ETag": etag} if is_consistent else None)

    async def events(self, request: Request) -> Response:
        """Stream the changes of the configuration (OFREP event stream)."""
        token = request.query_params.get("token", "")
        caller = self.keys.stream_caller(token, key_of(request), time.time())
        if caller is None:
            return Response(status_code=401)
        if refusal := self.feed.refusal(caller):
            return JSONResponse({"errorDetails": refusal}, 429, {"Retry-After": "5"})
        stream = self.feed.stream(request.headers.get("last-event-id", ""), caller)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def configuration(self, request: Request) -> Response:
        """Return what the providers may ask of this server."""
        response = JSONResponse(CONFIGURATION)
        etag = _etag(bytes(response.body))
        if _has_etag(request, etag):
            return Response(status_code=304, headers={"ETag": etag})
        response.headers["ETag"] = etag
        return response

    async def record_outcomes(self, request: Request) -> Response:
        """Count what a service reports of its requests; all of them or, on an error, none."""
        try:
            outcomes = parse_outcomes(await read_body(request.receive))
        except BadRequestError as error:
            return JSONResponse({"errorCode": error.code, "errorDetails": error.details}, 400)
        flags = self.reader.snapshot().flags
        if unknown := {outcome.flag for outcome in outcomes} - set(flags):
            details = f"the environment has no flag {min(unknown)!r}"
            return JSONResponse({"errorCode": FLAG_NOT_FOUND, "errorDetails": details}, 404)
        for outcome in outcomes:
            self.counters.record(outcome)
        return JSONResponse({"accepted": len(outcomes)}, 202)

    async def readyz(self, _request: Request) -> Response:
        """Return 503 while the snapshot is stale."""
        if self.reader.stale:
            return JSONResponse({"errorDetails": "the flags are stale: is Redis up?"}, 503)
        return JSONResponse({"status": "ready"})

    async def metrics(self, _request: Request) -> Response:
        """Return the counters in Prometheus' format."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)

    def _stream_uri(self, request: Request) -> str:
        token = self.keys.stream_token(key_of(request), time.time())
        return f"{EVENTS_PATH}?token={token}" if token else EVENTS_PATH

    def _post(self, path: str, endpoint: Endpoint, scope: str) -> Route:
        return Route(path, guarded(endpoint, self.keys, scope), methods=["POST"])

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self.reader.start()
        await asyncio.to_thread(self.reader.wait_ready, READY_SECONDS)
        announcement = announce(self.reader)
        tasks = [asyncio.create_task(each) for each in (_reload_keys(self.keys), self.feed.run())]
        try:
            yield
        finally:
            self.feed.close()
            for task in tasks:
                task.cancel()
            await self.counters.close()
            await asyncio.to_thread(announcement.close)
            self.reader.stop()
            await self.redis.aclose()


def create_application(
    reader: FlagReader,
    keys: FlagApiKeys,
    cohorts: CohortLabels = DEFAULT_LABELS,
    streams_per_key: int = STREAMS_PER_KEY_MAX,
) -> Starlette:
    """Return the application of one reader. Raises ValueError when its Redis URL is not valid."""
    redis = connect(reader.redis_url)
    return FlagsServer(reader, keys, redis, cohorts, streams_per_key).application()


def _etag(content: bytes) -> str:
    return f'"{xxh3_64_hexdigest(content)}"'


def _has_etag(request: Request, etag: str) -> bool:
    requested = request.headers.get("if-none-match", "")
    return etag in [part.strip().removeprefix("W/") for part in requested.split(",")]


async def _openapi(_request: Request) -> Response:
    return JSONResponse(openapi_document())


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _internal_error(_request: Request, error: Exception) -> Response:
    return JSONResponse({"errorDetails": f"internal error: {type(error).__name__}"}, 500)


async def _reload_keys(keys: FlagApiKeys) -> None:
    while True:
        await asyncio.sleep(KEYS_RELOAD_SECONDS)
        try:
            keys.reload_if_changed()
        except FlagError as error:
            logger.warning("API keys: %s", error)
