"""The worker's settings: one frozen model, read once at its composition root.

Temporal's address, TLS, API key and certificates are Temporal's own environment configuration
(``TEMPORAL_ADDRESS``, ``TEMPORAL_TLS_…``, ``TEMPORAL_API_KEY``, profiles); they are not repeated here.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError

from sluice.rollout.analysis.gate import Model

Count = Annotated[int, Field(ge=1, le=1_000_000)]
Url = Annotated[str, Field(pattern=r"^(|https?://.+)$")]
SmtpUrl = Annotated[str, Field(pattern=r"^(|smtps?://.+)$")]
Address = Annotated[str, Field(pattern=r"^(|\[?[\w.:-]+\]?:\d{1,5})$")]


class WorkerSettingsError(Exception):
    """A variable has an invalid value; the message names both."""


class WorkerSettings(Model):
    """The settings of a worker process. An empty address switches a feature off."""

    redis_url: str = "redis://localhost:6379/0"
    postgres_dsn: str = "postgresql://localhost:5432/postgres"
    ledger_dsn: str = ""
    prometheus_url: str = "http://localhost:9090"
    payload_keys: str = ""
    webhook_url: Url = ""
    webhook_secret: str = ""
    slack_url: Url = ""
    alertmanager_url: Url = ""
    runbooks_url: Url = ""
    console_url: Url = ""
    slack_buttons: bool = False
    smtp_url: SmtpUrl = ""
    email_from: str = ""
    email_to: str = ""
    approvals_min: Annotated[int, Field(ge=0, le=20)] = 0
    keyring: str = ""
    code_repository: str = ""
    deploy_hook: str = ""
    deploy_hook_variables: str = Field(default="", pattern=r"^[A-Za-z_0-9, ]*$")
    report_root: Path = Path()
    health_address: Address = ""
    metrics_address: Address = ""
    otlp_endpoint: str = ""
    otlp_traces_endpoint: str = ""
    build_id: str = ""
    deployment: str = Field(default="sluice", pattern=r"^[\w-]+$")
    drain_seconds: float = Field(default=10, ge=0, le=3600)
    activities_max: Count = 1000
    local_activities_max: Count = 100
    workflow_tasks_max: Annotated[int, Field(ge=2, le=1_000_000)] = 100
    cached_workflows_max: Count = 1000

    @property
    def drain(self) -> timedelta:
        return timedelta(seconds=self.drain_seconds)

    @property
    def hook_variables(self) -> frozenset[str]:
        return frozenset(self.deploy_hook_variables.replace(",", " ").split())

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read ``environment``; an empty variable counts as not set.

        Raises:
            WorkerSettingsError: it names the variable, its value and the problem.
        """
        values = {name: environment[v] for name, v in VARIABLES.items() if environment.get(v)}
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
            variable = VARIABLES[str(problem["loc"][0])]
            raise WorkerSettingsError(
                f"{variable}={problem['input']!r}: {problem['msg']}"
            ) from None


VARIABLES = {
    "redis_url": "REDIS_URL",
    "postgres_dsn": "POSTGRES_DSN",
    "ledger_dsn": "SLUICE_LEDGER_DSN",
    "prometheus_url": "PROMETHEUS_URL",
    "payload_keys": "SLUICE_PAYLOAD_KEYS",
    "webhook_url": "SLUICE_WEBHOOK_URL",
    "webhook_secret": "SLUICE_WEBHOOK_SECRET",
    "slack_url": "SLUICE_SLACK_URL",
    "alertmanager_url": "SLUICE_ALERTMANAGER_URL",
    "runbooks_url": "SLUICE_RUNBOOKS_URL",
    "console_url": "SLUICE_CONSOLE_URL",
    "slack_buttons": "SLUICE_SLACK_BUTTONS",
    "smtp_url": "SLUICE_SMTP_URL",
    "email_from": "SLUICE_EMAIL_FROM",
    "email_to": "SLUICE_EMAIL_TO",
    "approvals_min": "SLUICE_APPROVALS_MIN",
    "keyring": "SLUICE_KEYRING",
    "code_repository": "SLUICE_CODE_REPOSITORY",
    "deploy_hook": "SLUICE_DEPLOY_HOOK",
    "deploy_hook_variables": "SLUICE_DEPLOY_HOOK_VARIABLES",
    "report_root": "SLUICE_REPORT_ROOT",
    "health_address": "SLUICE_WORKER_HEALTH_ADDRESS",
    "metrics_address": "SLUICE_WORKER_METRICS_ADDRESS",
    "otlp_endpoint": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "otlp_traces_endpoint": "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "build_id": "SLUICE_WORKER_BUILD_ID",
    "deployment": "SLUICE_WORKER_DEPLOYMENT",
    "drain_seconds": "SLUICE_WORKER_DRAIN_SECONDS",
    "activities_max": "SLUICE_WORKER_ACTIVITIES_MAX",
    "local_activities_max": "SLUICE_WORKER_LOCAL_ACTIVITIES_MAX",
    "workflow_tasks_max": "SLUICE_WORKER_WORKFLOW_TASKS_MAX",
    "cached_workflows_max": "SLUICE_WORKER_CACHED_WORKFLOWS_MAX",
}
