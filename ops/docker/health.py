"""Health of the process in this container, as the exit status: 0 is healthy.

Asks ``/readyz``. A router (`SLUICE_HEALTH=router`, the default) says whether it takes queries; a
worker (`SLUICE_HEALTH=worker`, at the port of `SLUICE_WORKER_HEALTH_ADDRESS`) whether Temporal has
seen it poll: a worker that lives but doesn't poll moves no rollout.
"""

import http.client
import os
import sys
from http import HTTPStatus

ROUTER_ADDRESS = "0.0.0.0:8081"
TIMEOUT_SECONDS = 4


def is_ready(address: str) -> bool:
    connection = http.client.HTTPConnection(
        "127.0.0.1", int(address.rpartition(":")[2]), TIMEOUT_SECONDS
    )
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def main() -> int:
    role = os.environ.get("SLUICE_HEALTH", "router")
    address = os.environ["SLUICE_WORKER_HEALTH_ADDRESS"] if role == "worker" else ROUTER_ADDRESS
    return 0 if is_ready(address) else 1


if __name__ == "__main__":
    sys.exit(main())
