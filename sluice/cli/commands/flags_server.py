"""``sluice flags serve`` and ``sluice flags key``: flags for services in any language."""

from pathlib import Path
from typing import Annotated

import typer

from sluice.cli.context import Context, require_free_address
from sluice.cli.errors import CliError, Exit, require_extra
from sluice.cli.options import COHORTS_DEFAULT, CohortsOption, parse_cohorts
from sluice.cli.output import print_note
from sluice.flags import FlagError, FlagReader
from sluice.flags.server.api_keys import (
    EVALUATE,
    OUTCOMES,
    FlagApiKeys,
    format_key_line,
    generate_key,
)
from sluice.flags.server.event_stream import STREAMS_PER_KEY_MAX
from sluice.flags.service.cohort_labels import CohortLabels
from sluice.flags.signatures import load_public_keys

PORT = 8016
KEYS_VARIABLE = "SLUICE_FLAGS_API_KEYS"
STREAMS_VARIABLE = "SLUICE_FLAGS_STREAMS_PER_KEY"
OPEN_ACCESS_VARIABLE = "SLUICE_OPEN_ACCESS"
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on.")] = PORT,
    cohorts: CohortsOption = COHORTS_DEFAULT,
    streams_per_key: Annotated[
        int,
        typer.Option(
            min=1, envvar=STREAMS_VARIABLE, help="Event streams that one API key may hold at once."
        ),
    ] = STREAMS_PER_KEY_MAX,
) -> None:
    """Serve the flags over OFREP, and count the outcomes that services report.

    The API keys are those of the file SLUICE_FLAGS_API_KEYS; without it every caller is allowed.
    """
    require_extra("flags serve", "ofrep")
    require_free_address(host, port)
    from sluice.flags.server.app import create_application  # noqa: PLC0415  the extra `ofrep`
    from sluice.flags.server.process import run_server  # noqa: PLC0415  as above

    context = Context.read()
    path = context.environment.get(KEYS_VARIABLE)
    if not path:
        _require_open_access(context, host)
        print_note(f"{KEYS_VARIABLE} is not set: every caller is allowed")
    try:
        reader = FlagReader(
            context.redis_url,
            environment=context.environment_name,
            public_keys=load_public_keys(context.environment),
        )
        labels = CohortLabels(*parse_cohorts(cohorts))
        keys = FlagApiKeys(Path(path) if path else None)
        app = create_application(reader, keys, labels, streams_per_key)
    except (FlagError, ValueError) as error:
        raise CliError(str(error), Exit.USAGE) from None
    print_note(f"OFREP at http://{host}:{port}/ofrep/v1/, outcomes at /outcomes")
    run_server(app, host, port)


def _require_open_access(context: Context, host: str) -> None:
    """Refuse to listen beyond this machine without API keys, unless that is stated."""
    if host in LOOPBACK_HOSTS or context.environment.get(OPEN_ACCESS_VARIABLE) == "1":
        return
    raise CliError(
        f"--host {host} lets other machines read flags and report outcomes without a key: set "
        f"{KEYS_VARIABLE} (`sluice flags key NAME` makes keys), or {OPEN_ACCESS_VARIABLE}=1 behind a "
        "gateway with its own",
        Exit.USAGE,
    )


def key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the caller.")],
    outcomes: Annotated[
        bool, typer.Option(help="Also allow POST /outcomes; for servers, not for browsers.")
    ] = False,
) -> None:
    """Make an API key of the flags server, and its line for the file SLUICE_FLAGS_API_KEYS."""
    secret = generate_key()
    try:
        line = format_key_line(name, (EVALUATE, OUTCOMES) if outcomes else (EVALUATE,), secret)
    except FlagError as error:
        raise CliError(str(error), Exit.USAGE) from None
    print_note(f"the key, shown once: {secret}")
    print(line)
