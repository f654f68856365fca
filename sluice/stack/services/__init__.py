"""The servers of the stack, one module each."""

from sluice.stack.service import Service
from sluice.stack.services.graph import Graph
from sluice.stack.services.postgres import Postgres
from sluice.stack.services.prometheus import Prometheus
from sluice.stack.services.qdrant import Qdrant
from sluice.stack.services.redis import Redis
from sluice.stack.services.temporal import Temporal

SERVICES: tuple[Service, ...] = (
    Temporal(),
    Redis(),
    Graph(),
    Postgres(),
    Qdrant(),
    Prometheus(),
)
SERVICES_BY_NAME: dict[str, Service] = {service.name: service for service in SERVICES}
SERVICE_NAMES: tuple[str, ...] = tuple(SERVICES_BY_NAME)
