"""Hostile request bodies for as long as SLUICE_FUZZ_SECONDS says: by default a few seconds for CI.

`make fuzz SECONDS=600` runs the same tests for longer. Each request must get an answer within its limit of
time, which states no error of the server, and the process may not grow.
"""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import httpx
import psutil
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

SECONDS = float(os.environ.get("SLUICE_FUZZ_SECONDS", "3"))
"""Of one interface."""
BATCH = 25
RESPONSE_SECONDS_MAX = 30.0
"""Well above every deadline of these servers, also on a busy machine."""
GROWTH_BYTES_MAX = 200 * 2**20
SERVER_FAULTS = frozenset({500, 501, 505})
"""502 to 504 state that a store or a deadline failed, which is an honest answer."""
UNITS = (
    "a",
    "a, ",
    "who is? ",
    "((",
    "'",
    "Oslo or ",
    "17 ",
    "漢",
    "ﷺ",
    "\u0000",
    "\ud800",
    "\u202e",
)

_texts = st.text(max_size=50) | st.builds(
    lambda unit, times: (unit * times)[:2100], st.sampled_from(UNITS), st.integers(1, 2100)
)
_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | _texts | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=8,
)
_raw = (
    st.binary(max_size=200)
    | st.builds(lambda n: b"[" * n, st.integers(1, 60_000))
    | st.builds(lambda n: b'{"a":' * n, st.integers(1, 9_000))
    | st.just(b"\xff\xfe{\x00}\x00")
    | st.just(b'{"query":"a","query":1e999}')
)


def json_bodies(valid: dict[str, Any]) -> st.SearchStrategy[bytes]:
    """Return bodies around a valid one: fields changed, missing or added, bytes flipped, or noise."""
    objects = st.fixed_dictionaries(
        {}, optional={name: st.just(value) | _values for name, value in valid.items()}
    )
    odd = st.builds(
        lambda body, extra: {**valid, **body, **extra},
        objects,
        st.dictionaries(_texts, _values, max_size=2),
    )
    documents = st.builds(lambda body: json.dumps(body).encode(), objects | odd | _values)
    return documents | _raw | _flipped(json.dumps(valid).encode())


def form_bodies(valid: dict[str, str]) -> st.SearchStrategy[bytes]:
    """Return urlencoded forms around a valid one."""
    pairs = st.dictionaries(st.sampled_from([*valid, "x"]), _texts.filter(_is_encodable))
    forms = st.builds(lambda odd: str(httpx.QueryParams({**valid, **odd})).encode(), pairs)
    return forms | _raw | _flipped(str(httpx.QueryParams(valid)).encode())


def _is_encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _flipped(body: bytes) -> st.SearchStrategy[bytes]:
    """Return ``body`` with some bytes replaced."""

    def flip(changes: list[tuple[int, int]]) -> bytes:
        changed = bytearray(body)
        for place, value in changes:
            changed[place % len(body)] = value
        return bytes(changed)

    change = st.tuples(st.integers(0, 10_000), st.integers(0, 255))
    return st.builds(flip, st.lists(change, min_size=1, max_size=6))


def fuzz(
    send: Callable[[bytes], httpx.Response], bodies: st.SearchStrategy[bytes], pid: int
) -> int:
    """Send bodies until the time is over; return their number."""
    until, batch, sent = time.monotonic() + SECONDS, 0, 0
    before = psutil.Process(pid).memory_info().rss
    while time.monotonic() < until:
        batch += 1

        @seed(batch)
        @settings(
            max_examples=BATCH,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(body=bodies)
        def check(body: bytes) -> None:
            nonlocal sent
            started = time.monotonic()
            response = send(body)
            sent += 1
            assert response.status_code not in SERVER_FAULTS, (body[:300], response.text)
            assert time.monotonic() - started < RESPONSE_SECONDS_MAX, body[:300]

        check()
    assert psutil.Process(pid).memory_info().rss - before < GROWTH_BYTES_MAX
    return sent
