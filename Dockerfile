# syntax=docker/dockerfile:1
# One image for all processes; the command says which: `sluice router …`, `worker`, `console`, `flags serve`.

FROM ghcr.io/astral-sh/uv:0.9.26 AS uv

FROM python:3.11-slim-bookworm AS build
COPY --from=uv /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=/opt/sluice
# Production gives the servers' addresses: the extra `stack` stays out.
ENV EXTRAS="--extra console --extra ofrep --extra otel --extra router --extra worker"
WORKDIR /src
# Packages first: a change of our code doesn't fetch them again.
COPY pyproject.toml uv.lock ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev $EXTRAS --no-install-project
COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev $EXTRAS --no-editable

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home sluice \
    && install -d -o sluice -g sluice /var/lib/sluice
COPY --from=build /opt/sluice /opt/sluice
COPY ops/docker/health.py /opt/sluice/health.py
ENV PATH=/opt/sluice/bin:$PATH PYTHONUNBUFFERED=1 MPLCONFIGDIR=/tmp
USER sluice
# The rollout reports go below the working directory: keep it on a volume.
WORKDIR /var/lib/sluice
# 8080: queries, with API keys. 8081: health, flags and metrics, for the own network only.
EXPOSE 8080 8081
# Asks /readyz of the router, or of the worker (SLUICE_HEALTH=worker).
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "/opt/sluice/health.py"]
CMD ["sluice", "router", "--host", "0.0.0.0", "--port", "8080", \
     "--operations-host", "0.0.0.0", "--operations-port", "8081"]
