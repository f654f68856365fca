"""Prometheus' remote-write format, encoded from whole arrays.

Protobuf (prometheus.WriteRequest) in Snappy's block format, as literals only. It writes about half a
million samples a second; promtool's OpenMetrics text takes three times as long
(docs/decisions/009-rehearsals-by-remote-write.md).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sluice.rehearsal.arrays import Floats, Ints

SeriesKey = tuple[tuple[str, str], ...]
HEADERS = {
    "Content-Encoding": "snappy",
    "Content-Type": "application/x-protobuf",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_SAMPLE_BYTES = 18
_TIME_BYTES = 6  # a varint of milliseconds in this era; 2**42 ms is the year 2109
_LITERAL_MAX = 65536


def encode_write_requests(
    seconds: Floats, series: Mapping[SeriesKey, Floats], ticks: int
) -> Iterator[bytes]:
    """Encode the values of every series at ``seconds`` (since the epoch, ascending), ``ticks`` at a time."""
    labels = [_encode_labels(key) for key in series]
    samples = _encode_samples(np.round(seconds * 1000).astype(np.int64), list(series.values()))
    for first in range(0, len(seconds), ticks):
        chunk = samples[:, first : first + ticks]
        timestamps = zip(labels, chunk, strict=True)
        yield _encode_snappy(
            b"".join(
                _encode_field(1, label_bytes + rows.tobytes()) for label_bytes, rows in timestamps
            )
        )


def _encode_labels(key: SeriesKey) -> bytes:
    return b"".join(
        _encode_field(1, _encode_field(1, k.encode()) + _encode_field(2, v.encode()))
        for k, v in key
    )


def _encode_samples(milliseconds: Ints, columns: Sequence[Floats]) -> Ints:
    """Sample messages of equal length by series and tick: field 1 a double, field 2 the time."""
    values = np.stack(columns).astype("<f8")
    rows = np.empty((*values.shape, _SAMPLE_BYTES), np.uint8)
    rows[..., :3] = (0x12, _SAMPLE_BYTES - 2, 0x09)
    rows[..., 3:11] = values.view(np.uint8).reshape(*values.shape, 8)
    rows[..., 11] = 0x10
    for byte in range(_TIME_BYTES):
        continuation_bit = 0x80 if byte < _TIME_BYTES - 1 else 0
        rows[..., 12 + byte] = (milliseconds >> (7 * byte)) & 0x7F | continuation_bit
    return rows


def _encode_field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _encode_varint(len(content)) + content


def _encode_varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004  seven bits a byte
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _encode_snappy(data: bytes) -> bytes:
    parts = [_encode_varint(len(data))]
    for start in range(0, len(data), _LITERAL_MAX):
        literal = data[start : start + _LITERAL_MAX]
        parts += [b"\xf4", struct.pack("<H", len(literal) - 1), literal]
    return b"".join(parts)
