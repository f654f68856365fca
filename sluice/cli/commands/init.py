"""``sluice init``: a first plan for a service; ``sluice schema``: the JSON schema of a plan."""

import asyncio
import json as json_module
import math
import re
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from sluice.cli.clients.prometheus import (
    PrometheusUnreachableError,
    open_prometheus,
    read_data,
)
from sluice.cli.context import Context
from sluice.cli.errors import CliError, Exit
from sluice.cli.options import COHORTS_DEFAULT, CohortsOption, parse_cohorts
from sluice.cli.output import print_note, without_password
from sluice.cli.starter_plan import MetricSource, StarterPlan
from sluice.rollout.errors import PlanError, QuantityError
from sluice.rollout.plan.loader import parse_plan
from sluice.rollout.plan.schema import RolloutPlan
from sluice.rollout.units import (
    ThresholdForm,
    format_count,
    parse_duration,
    parse_share,
    parse_threshold,
    threshold_form,
)

SERVICE_METRIC = "sluice_requests_total"
FAILURES_DEFAULT = 'status=~"5.."'
FLAG_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,89}")
CANDIDATES_MAX, VALUES_MAX = 12, 4
_RUNTIME_PREFIXES = ("python_", "process_", "go_", "nodejs_", "jvm_")
ANSWER_SECONDS_MAX = 3.0
RATE_WINDOWS = ("30s", "2m", "10m")
"""The first with two scrapes counts: over a longer one a service that has just started seems idle."""
SCHEMAS = {"plan": RolloutPlan}
_SERVER_LABELS = {"__name__", "job", "instance", "le"}


def init(  # noqa: PLR0913 - one option for each thing that a first plan needs
    *,
    flag: Annotated[str, typer.Option(help="The flag to roll out.")] = "",
    job: Annotated[str, typer.Option(help="The service's job in Prometheus.")] = "",
    out: Annotated[Path | None, typer.Option(help="The file; FLAG.yaml by default.")] = None,
    hold: Annotated[str, typer.Option(help="Time of each step at least.")] = "1d",
    error_rate: Annotated[str, typer.Option(help="Share of failed requests to allow.")] = "1%",
    latency: Annotated[str, typer.Option(help="99 % of requests must be faster.")] = "1s",
    requests: Annotated[
        str, typer.Option(help="Counter of requests; that of SluiceMiddleware by default.")
    ] = "",
    failures: Annotated[
        str,
        typer.Option(help=f"Label matcher of failed requests in it; default: {FAILURES_DEFAULT}."),
    ] = "",
    histogram: Annotated[
        str, typer.Option(help="Histogram of request times, without _bucket.")
    ] = "",
    cohorts: CohortsOption = COHORTS_DEFAULT,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a first plan for a service: 5, 25, 50 and 100 % with error rate and latency.

    Asks for what no option says. Without --requests and --histogram the plan measures by the
    metrics of SluiceMiddleware and of the flags server.
    """
    if bool(requests) != bool(histogram):
        raise CliError("Give both --requests and --histogram, or neither.", Exit.USAGE)
    if failures and not requests:
        raise CliError(
            "--failures is about your own metrics: give --requests and --histogram too.", Exit.USAGE
        )
    flag = _require_flag_name(flag or _ask("Flag to roll out"))
    context = Context.read()
    names = parse_cohorts(cohorts)
    source = MetricSource(labels=f'flag="{flag}"', cohorts=names)
    if requests:
        source = MetricSource(
            requests, failures or FAILURES_DEFAULT, histogram.removesuffix("_bucket"), names
        )
    job = job or _ask("The service's job in Prometheus", default=flag)
    if not requests:
        _print_candidates(context, job, names[0])
    plan = StarterPlan(
        flag=flag,
        job=job,
        source=source,
        environment=context.environment_name,
        hold=timedelta(seconds=_parse_positive("--hold", hold, _parse_seconds)),
        error_rate=_parse_positive("--error-rate", error_rate, parse_share, 1.0),
        latency=_parse_positive("--latency", latency, _parse_seconds),
        rate=_request_rate(context, source),
    )
    _write(out or Path(f"{flag}.yaml"), plan.render(), force=force)


def schema(
    kind: Annotated[str, typer.Argument(help="plan", metavar="KIND")] = "plan",
) -> None:
    """Print the JSON schema of a plan, for editors: `sluice schema plan > plan.schema.json`."""
    if kind not in SCHEMAS:
        raise CliError(f"schema {kind!r}: write {' or '.join(SCHEMAS)}", Exit.USAGE)
    print(json_module.dumps(plan_schema(), indent=2))


def plan_schema() -> dict[str, Any]:
    """Return the JSON schema of a plan as people write it."""
    schema: dict[str, Any] = RolloutPlan.model_json_schema()
    gate = schema["$defs"]["Gate"]
    gate["required"].remove("threshold")  # a statistical gate has none
    gate["if"] = {"properties": {"kind": {"const": "statistical"}}, "required": ["kind"]}
    gate["else"] = {"required": ["threshold"]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _require_flag_name(flag: str) -> str:
    if not FLAG_PATTERN.fullmatch(flag):
        raise CliError(
            f"--flag {flag!r}: use at most 90 lower-case letters, digits, '.', '_' or '-', "
            "beginning with a letter or a digit",
            Exit.USAGE,
        )
    return flag


def _parse_seconds(text: str) -> float:
    """Read a time such as 800ms, or a number of seconds; a share such as 5% is neither."""
    if threshold_form(text) is ThresholdForm.NUMBER:
        return parse_threshold(text)
    return parse_duration(text).total_seconds()


def _parse_positive(
    option: str, text: str, parse: Callable[[str], float], maximum: float = math.inf
) -> float:
    try:
        value = parse(text)
    except QuantityError as error:
        raise CliError(f"{option}: {error}", Exit.USAGE) from None
    if 0 < value <= maximum:
        return value
    expected = "above 0" if math.isinf(maximum) else f"above 0 and at most {maximum:.0%}"
    raise CliError(f"{option} {text!r}: must be {expected}", Exit.USAGE)


def _ask(question: str, default: str = "") -> str:
    if not sys.stdin.isatty():
        if default:
            return default
        raise CliError(f"{question}? Give --flag.", Exit.USAGE)
    return str(typer.prompt(question, default=default or None, err=True))


def _print_candidates(context: Context, job: str, label: str) -> None:
    """Name the job's metrics with their labels; a Prometheus that does not answer changes nothing."""
    matcher = f'{{job={json_module.dumps(job)},__name__=~".+_(total|bucket)"}}'
    series = _ask_prometheus(context, "series", **{"match[]": matcher})
    if series is None:
        print_note(
            f"Prometheus at {without_password(context.prometheus_url)} does not answer: names are not checked"
        )
        return
    if any(one.get("__name__") == SERVICE_METRIC and label in one for one in series):
        return
    candidates = "\n  ".join(_describe_candidates(series)) or "none"
    print_note(
        f"Prometheus has no {SERVICE_METRIC} of job {job!r}: add SluiceMiddleware to the service, or "
        f"give --requests, --failures, --histogram and --cohorts. Metrics of this job:\n  {candidates}"
    )


def _describe_candidates(series: list[dict[str, str]]) -> Iterator[str]:
    """Yield each metric with its labels and a few of their values, as a query has them."""
    values: dict[str, dict[str, set[str]]] = {}
    for labels in series:
        if labels["__name__"].startswith(_RUNTIME_PREFIXES):
            continue
        by_label = values.setdefault(labels["__name__"].removesuffix("_bucket"), {})
        for name in labels.keys() - _SERVER_LABELS:
            by_label.setdefault(name, set()).add(labels[name])
    for metric, by_label in sorted(values.items())[:CANDIDATES_MAX]:
        labels_text = (
            f"{name}={'|'.join(sorted(texts)[:VALUES_MAX])}"
            for name, texts in sorted(by_label.items())
        )
        yield f"{metric} {{{', '.join(labels_text)}}}"


def _ask_prometheus(context: Context, path: str, **parameters: str) -> Any:  # noqa: ANN401  JSON
    """Return the data of the answer; None where Prometheus does not answer."""

    async def read() -> Any:  # noqa: ANN401  JSON
        async with open_prometheus(context, ANSWER_SECONDS_MAX) as http:
            return await read_data(http, path, **parameters)

    try:
        return asyncio.run(read())
    except PrometheusUnreachableError:
        return None


def _request_rate(context: Context, source: MetricSource) -> float | None:
    """Return the service's requests a second, or None where Prometheus does not have them."""
    metric = f"{source.requests}{{{source.labels}}}"
    answers = (
        _ask_prometheus(context, "query", query=f"sum(rate({metric}[{window}]))")
        for window in RATE_WINDOWS
    )
    results = (answer["result"] for answer in answers if answer and answer.get("result"))
    result: Any = next(results, None)
    rate = float(result[0]["value"][1]) if result else 0.0
    if not math.isfinite(rate) or rate <= 0:
        print_note(
            f"the request rate of {metric} is not known: check the windows with `sluice lint`"
        )
        return None
    print_note(f"{rate:.3g} requests a second: windows hold enough of them at 5 % of users")
    return rate


def _write(path: Path, text: str, *, force: bool) -> None:
    try:
        checked = parse_plan(text)
    except PlanError as error:
        first = error.diagnostics[0]
        raise CliError(f"these options give no valid plan: {first}", Exit.USAGE) from None
    if path.exists() and not force:
        raise CliError(f"{path} exists; give --out, or --force to replace it", Exit.USAGE)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CliError(f"{path} cannot be written: {error.strerror}", Exit.USAGE) from None
    print_note(
        f"wrote {path}: {format_count(len(checked.steps), 'step')}. Next: `sluice lint {path}`, "
        f"`sluice rehearse {path}`, then `sluice start {path}`"
    )
