"""A person who can write to Redis, but holds no key, lowers flags and never raises one."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sluice.flags import FeatureFlags, FlagDocument, FlagState, MemoryFlagStore, RouterPhases
from sluice.flags.desired_state import DesiredState
from sluice.flags.document import dump_document
from sluice.flags.errors import KilledError
from sluice.flags.signatures import FlagKeyError, FlagSigner, TrustFilter, load_public_keys
from sluice.flags.signatures.trust import lower_flag

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def signed_flags(store: MemoryFlagStore, key: Ed25519PrivateKey = KEY) -> FeatureFlags:
    return FeatureFlags(store, environment="prod", signer=FlagSigner(key, "prod"))


def reader(environment: str = "prod") -> TrustFilter:
    return TrustFilter([public(KEY)], environment)


def edited(document: FlagDocument, **fields: object) -> FlagDocument:
    """Write to Redis by hand: the flag's fields, at a newer version than everything before."""
    version = document.version + 1
    flag = document.flags["f"].model_copy(update={"version": version, **fields})
    return document.model_copy(update={"version": version, "flags": {"f": flag}})


async def document_at(percentage: float) -> tuple[MemoryFlagStore, FlagDocument]:
    """Create a signed flag with a signed percentage, user and phases."""
    store = MemoryFlagStore()
    flags = signed_flags(store)
    await flags.create_flag("f")
    phases = {"enable_feature_flags": True, "enable_online_learning": True}
    await flags.apply(DesiredState("f", percentage, frozenset({"ada"}), phases=phases))
    return store, await flags.document()


@pytest.mark.parametrize(
    "fields",
    [
        {"rollout_percentage": 100.0},
        {"whitelist": frozenset({"ada", "eve"})},
        {"default_enabled": True},
        {"on_stale": "hold"},
        {"signature": "", "rollout_percentage": 50.0},
        {"signature": "not base64", "rollout_percentage": 50.0},
        {"hash_version": 2},
        {"name": "g"},
    ],
)
async def test_raw_write_raises_nothing(fields: dict[str, object]) -> None:
    """Neither in a process that served the flag before, nor in one that has just started."""
    _, document = await document_at(25)
    for trust in (reader(), reader()):
        served = trust.apply(document).flags["f"]
        after = trust.apply(edited(document, **fields)).flags["f"]
        assert lower_flag(served, after) == after, "it treats nobody whom it did not treat"
    fresh = reader().apply(edited(document, **fields)).flags["f"]
    assert fresh.rollout_percentage == 0
    assert not fresh.whitelist
    assert not fresh.default_enabled


async def test_raw_write_lowers_and_cannot_be_taken_back_by_a_replay() -> None:
    """A kill needs no key; restoring the signed state from before it does not undo it."""
    store, document = await document_at(25)
    trust = reader()
    assert trust.apply(document).flags["f"].rollout_percentage == 25
    await FeatureFlags(store, environment="prod").kill("f")
    killed = await signed_flags(store).document()
    assert trust.apply(killed).flags["f"].killed
    replayed = killed.model_copy(
        update={"version": killed.version + 5, "flags": {"f": document.flags["f"]}}
    )
    assert trust.apply(replayed).flags["f"].killed
    assert trust.apply(edited(killed, killed=False)).flags["f"].killed
    await signed_flags(store).unkill("f")
    await signed_flags(store).set_rollout_percentage("f", 50)
    assert trust.apply(await signed_flags(store).document()).flags["f"].rollout_percentage == 50


async def test_signature_is_of_one_key_and_one_environment() -> None:
    store, document = await document_at(25)
    assert reader("test").apply(document).flags["f"].rollout_percentage == 0
    await signed_flags(store, OTHER).set_rollout_percentage("f", 30)
    assert reader().apply(await signed_flags(store).document()).flags["f"].rollout_percentage == 0
    both = TrustFilter([public(KEY), public(OTHER)], "prod")
    served = both.apply(await signed_flags(store).document())
    assert served.flags["f"].rollout_percentage == 30


async def test_signed_write_does_not_sign_what_a_stranger_has_written() -> None:
    """The worker changes the percentage; a user whom a raw write added stays out."""
    store, document = await document_at(25)
    store.document_text = dump_document(edited(document, whitelist=frozenset({"eve"})))
    await signed_flags(store).set_rollout_percentage("f", 30)
    served = reader().apply(await signed_flags(store).document()).flags["f"]
    assert served.rollout_percentage == 30
    assert not served.whitelist


async def test_a_raw_write_does_not_give_a_persons_latch_to_the_rollout() -> None:
    """A retry of the rollout would clear it then, and sign the raise."""
    store, _ = await document_at(25)
    await signed_flags(store).kill("f")
    raw = edited(await signed_flags(store).document(), killed_by="rollout")
    store.document_text = dump_document(raw)
    with pytest.raises(KilledError, match="flags unkill"):
        await signed_flags(store).apply(DesiredState("f", 25, killed=False))


async def test_phases_are_raised_by_a_signature_only() -> None:
    """Phases that treat everybody need one; switching them off does not."""
    _, document = await document_at(25)
    trust = reader()
    assert trust.apply(document).phases.enable_online_learning
    everyone = RouterPhases(enable_feature_flags=False, enable_online_learning=True)
    raw = document.model_copy(
        update={"phases": everyone, "phases_version": 10**15, "version": document.version + 1}
    )
    assert not trust.apply(raw).phases.treats_everyone
    assert not reader().apply(raw).phases.enable_online_learning
    off = raw.model_copy(update={"phases": RouterPhases(), "version": raw.version + 1})
    assert trust.apply(off).phases == RouterPhases()
    back = document.model_copy(update={"version": off.version + 1})
    assert trust.apply(back).phases == RouterPhases(), "a replay"


async def test_unsigned_flag_is_adopted_by_signing_it() -> None:
    """Flags from before the keys are signed as they are, once."""
    store = MemoryFlagStore()
    unsigned = FeatureFlags(store, environment="prod")
    await unsigned.create_flag("f", rollout_percentage=25)
    assert reader().apply(await unsigned.document()).flags["f"].rollout_percentage == 0
    await signed_flags(store).sign("f")
    assert reader().apply(await unsigned.document()).flags["f"].rollout_percentage == 25


async def test_deleted_flag_does_not_come_back_by_a_replay() -> None:
    store, document = await document_at(25)
    trust = reader()
    trust.apply(document)
    await FeatureFlags(store, environment="prod").delete_flag("f")
    gone = await signed_flags(store).document()
    assert trust.apply(gone).flags == {}
    back = gone.model_copy(update={"flags": document.flags, "version": gone.version + 1})
    assert trust.apply(back).flags["f"].rollout_percentage == 0


@pytest.mark.parametrize("text", ["", "# nobody\n", "ssh-rsa AAAA", "ssh-ed25519 damaged"])
def test_key_file_that_cannot_be_used_is_named(text: str, tmp_path: Path) -> None:
    """A reader without a usable key does not start; it would trust everybody or nobody."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(FlagKeyError, match="SLUICE_FLAGS_PUBLIC_KEYS"):
        load_public_keys({"SLUICE_FLAGS_PUBLIC_KEYS": str(path)})


def test_flag_of_an_unknown_name_is_off() -> None:
    document = FlagDocument(version=5, flags={"f": FlagState(name="f", rollout_percentage=100)})
    assert reader().apply(document).flags["f"].rollout_percentage == 0
