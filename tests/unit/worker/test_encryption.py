"""Payloads: unreadable without the key, unchanged with it; keys can be rotated, and switched on late."""

import base64

import pytest
from temporalio.api.common.v1 import Payload

from sluice.worker.encryption import EncryptionCodec, PayloadKeyError, data_converter

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
SECRET = Payload(metadata={"encoding": b"json/plain"}, data=b'"user_alice complained"')


def encoded_payload(name: str, key: bytes) -> str:
    return f"{name}:{base64.b64encode(key).decode()}"


async def test_nothing_of_the_payload_can_be_read() -> None:
    (sealed,) = await EncryptionCodec({"k1": NEW}).encode([SECRET])
    assert b"alice" not in sealed.SerializeToString()
    assert b"json/plain" not in sealed.SerializeToString()
    (again,) = await EncryptionCodec({"k1": NEW}).encode([SECRET])
    assert again.data != sealed.data, "the same nonce twice gives the key away"


async def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    (old,) = await EncryptionCodec({"k1": OLD}).encode([SECRET])
    rotated = EncryptionCodec({"k2": NEW, "k1": OLD})
    (new,) = await rotated.encode([SECRET])
    assert new.metadata["encryption-key-id"] == b"k2"
    assert await rotated.decode([old, new]) == [SECRET, SECRET]


async def test_what_was_written_before_encryption_is_still_read() -> None:
    assert await EncryptionCodec({"k1": NEW}).decode([SECRET]) == [SECRET]


async def test_a_missing_key_is_named() -> None:
    (sealed,) = await EncryptionCodec({"k1": OLD}).encode([SECRET])
    with pytest.raises(PayloadKeyError, match="needs the key 'k1'"):
        await EncryptionCodec({"k2": NEW}).decode([sealed])


async def test_a_changed_payload_or_another_key_is_refused() -> None:
    (sealed,) = await EncryptionCodec({"k1": OLD}).encode([SECRET])
    changed = Payload(metadata=dict(sealed.metadata), data=sealed.data[:-1] + b"x")
    for codec, payload in (
        (EncryptionCodec({"k1": OLD}), changed),
        (EncryptionCodec({"k1": NEW}), sealed),
    ):
        with pytest.raises(PayloadKeyError, match="cannot be decrypted"):
            await codec.decode([payload])


@pytest.mark.parametrize("keys", ["k1", "k1:short", f":{base64.b64encode(NEW).decode()}", "k1:%%%"])
def test_a_key_that_cannot_be_used_says_how_to_make_one(keys: str) -> None:
    with pytest.raises(PayloadKeyError, match="openssl rand -base64 32"):
        data_converter(keys)


async def test_worker_and_command_line_understand_each_other() -> None:
    worker = data_converter(f"{encoded_payload('k2', NEW)},{encoded_payload('k1', OLD)}")
    payloads = await worker.encode([{"flag": "learning"}])
    assert payloads[0].metadata["encoding"] == b"binary/encrypted"
    assert await data_converter(encoded_payload("k2", NEW)).decode(payloads) == [
        {"flag": "learning"}
    ]
    assert data_converter("").payload_codec is None
