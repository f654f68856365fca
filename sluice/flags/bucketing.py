"""Buckets of users. The same flag and user give the same bucket in every process.

A flag at p per cent takes the buckets below `threshold(p)`, so a ramp only ever adds users, and
0 % and 100 % are exact. `hash_version` is stored with the flag; the versions of other
products let a team move here without moving any user to another cohort:

1. Sluice: xxh3_64 of `flag:user` (UTF-8), modulo 10,000.
2. Unleash `gradualRolloutUserId`: murmur3_32 (seed 0) of `groupId:user`, 1 to 100.
3. GrowthBook hash v1: fnv1a_32 of `user + seed`, modulo 1,000.
4. GrowthBook hash v2: fnv1a_32 of the decimal text of fnv1a_32(`seed + user`), modulo 10,000.

Sources: the specifications in `Unleash/client-specification` and the GrowthBook SDK docs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from xxhash import xxh3_64_intdigest

from sluice.flag_rules import BUCKETS_PER_PERCENT
from sluice.flags.errors import InvalidFlagError
from sluice.flags.validation import BUCKETS

SLUICE, UNLEASH, GROWTHBOOK_V1, GROWTHBOOK_V2 = 1, 2, 3, 4
_MASK32 = 0xFFFFFFFF


def threshold(percentage: float) -> int:
    """Return how many of the 10,000 buckets a percentage takes: exactly 0 at 0, all at 100."""
    return round(percentage * BUCKETS_PER_PERCENT)


def sluice_bucket(flag: str, user: str) -> int:
    """Return the bucket, 0 to 9,999, of hash version 1."""
    return xxh3_64_intdigest(f"{flag}:{user}".encode()) % BUCKETS


def unleash_bucket(flag: str, user: str) -> int:
    """Return the bucket, in steps of 100, that makes p % here the users of p % in Unleash.

    Unleash lets a user in when `murmur3 % 100 + 1 <= p`, for whole percentages.
    """
    return murmur3_32(f"{flag}:{user}".encode()) % 100 * BUCKETS_PER_PERCENT


def growthbook_v1_bucket(flag: str, user: str) -> int:
    """Return the bucket, in steps of 10, of GrowthBook's biased first hash."""
    return fnv1a_32(f"{user}{flag}") % 1_000 * 10


def growthbook_v2_bucket(flag: str, user: str) -> int:
    """Return the bucket, 0 to 9,999, of GrowthBook's second hash."""
    return fnv1a_32(str(fnv1a_32(f"{flag}{user}"))) % BUCKETS


BucketFunction = Callable[[str, str], int]
BUCKET_FUNCTIONS: dict[int, BucketFunction] = {
    SLUICE: sluice_bucket,
    UNLEASH: unleash_bucket,
    GROWTHBOOK_V1: growthbook_v1_bucket,
    GROWTHBOOK_V2: growthbook_v2_bucket,
}


def validate_hash_version(version: object) -> int:
    """Return the hash version, or raise InvalidFlagError."""
    if isinstance(version, int) and not isinstance(version, bool) and version in BUCKET_FUNCTIONS:
        return version
    raise InvalidFlagError(f"hash_version {version!r}: give one of {sorted(BUCKET_FUNCTIONS)}")


def fnv1a_32(text: str) -> int:
    """Return the 32-bit FNV-1a hash (Fowler, Noll, Vo) over UTF-16 units, as JavaScript has them."""
    digest = 0x811C9DC5
    data = text.encode("utf-16-le")
    for (unit,) in struct.iter_unpack("<H", data):
        digest = (digest ^ unit) * 0x01000193 & _MASK32
    return digest


def murmur3_32(data: bytes, seed: int = 0) -> int:
    """Return MurmurHash3_x86_32 (Appleby)."""
    digest = seed
    aligned_length = len(data) & ~3
    for start in range(0, aligned_length, 4):
        digest ^= _murmur_scramble(int.from_bytes(data[start : start + 4], "little"))
        digest = (_rotl32(digest, 13) * 5 + 0xE6546B64) & _MASK32
    digest ^= _murmur_scramble(int.from_bytes(data[aligned_length:], "little"))
    digest ^= len(data)
    digest = (digest ^ digest >> 16) * 0x85EBCA6B & _MASK32
    digest = (digest ^ digest >> 13) * 0xC2B2AE35 & _MASK32
    return digest ^ digest >> 16


def _murmur_scramble(block: int) -> int:
    return _rotl32(block * 0xCC9E2D51 & _MASK32, 15) * 0x1B873593 & _MASK32


def _rotl32(value: int, bits: int) -> int:
    return (value << bits | value >> (32 - bits)) & _MASK32
