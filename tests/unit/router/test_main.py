"""A router that can't start says which setting to mend, in one line, and ends with status 2."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import clean_environ

ROOT = Path(__file__).parents[3]


def test_a_router_without_a_vector_store_names_the_setting_and_no_traceback() -> None:
    environment = clean_environ() | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    for name in ("QDRANT_URL", "QDRANT_PATH"):
        environment.pop(name, None)
    argv = (sys.executable, "-m", "router.main", "--port", "1")  # never listened on
    done = subprocess.run(  # noqa: S603 - our own program
        argv, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    *_, last = map(json.loads, done.stderr.splitlines())
    assert done.returncode == 2, done.stderr
    assert last["event"] == "settings"
    assert "QDRANT_URL" in last["reason"]
    assert "Traceback" not in done.stderr


def test_a_router_that_others_can_reach_needs_keys() -> None:
    environment = clean_environ() | {"REDIS_URL": "redis://127.0.0.1:1/0"}
    environment.pop("SLUICE_API_KEYS", None)
    argv = (sys.executable, "-m", "router.main", "--host", "0.0.0.0", "--port", "1")  # noqa: S104
    done = subprocess.run(  # noqa: S603 - our own program
        argv, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "set SLUICE_API_KEYS" in json.loads(done.stderr.splitlines()[-1])["reason"]
