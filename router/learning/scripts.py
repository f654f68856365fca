"""The Lua scripts of learning, read from router/learning/lua. Each runs atomically in Redis.

They need one Redis, or one hash slot: a decision, the queue and the weights change together.
"""

from importlib.resources import files


def _read(*names: str) -> str:
    folder = files("router.learning") / "lua"
    return "\n".join((folder / f"{name}.lua").read_text("utf-8") for name in names)


ACCEPT_FEEDBACK = _read("accept_feedback")
CLAIM_SIGNAL = _read("claim_signal")
ACQUIRE_LOCK = _read("acquire_lock")
RENEW_LOCK = _read("renew_lock")
RELEASE_LOCK = _read("release_lock")
REPLACE_WEIGHTS = _read("weights_functions", "replace_weights")
PUBLISH_BATCH = _read("weights_functions", "publish_batch")
