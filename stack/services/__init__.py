"""The servers of the stack, each in a module of its own."""

from stack.service import Service
from stack.services.graph import Graph
from stack.services.postgres import Postgres
from stack.services.prometheus import Prometheus
from stack.services.redis import Redis
from stack.services.temporal import Temporal
from stack.services.vectors import Vectors

SERVICES: tuple[Service, ...] = (
    Temporal(),
    Redis(),
    Graph(),
    Postgres(),
    Vectors(),
    Prometheus(),
)
BY_NAME: dict[str, Service] = {service.name: service for service in SERVICES}
ALL: tuple[str, ...] = tuple(BY_NAME)
