"""Environment variables as values; an error names the variable."""

from collections.abc import Mapping

from router.errors import RouterSettingsError

Environment = Mapping[str, str]


def read_switch(env: Environment, name: str) -> bool:
    """``1`` or ``0`` (the default). Raises RouterSettingsError."""
    value = env.get(name, "0")
    if value not in ("0", "1"):
        raise RouterSettingsError(f"{name}={value!r}: give 1 (on) or 0 (off)")
    return value == "1"


def read_positive(env: Environment, name: str, default: float) -> float:
    """Read a number above 0; raise RouterSettingsError for others."""
    value = read_non_negative(env, name, default)
    if value == 0:
        raise RouterSettingsError(f"{name}={env[name]!r}: give a number above 0")
    return value


def read_non_negative(env: Environment, name: str, default: float) -> float:
    """Read a number of 0 or more; raise RouterSettingsError for others."""
    text = env.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise RouterSettingsError(f"{name}={text!r}: give a number") from None
    if not 0 <= value < float("inf"):
        raise RouterSettingsError(f"{name}={text!r}: give a number, 0 or more")
    return value


def read_fraction(env: Environment, name: str, default: float) -> float:
    """Read a number above 0 and at most 1; raise RouterSettingsError for others."""
    value = read_positive(env, name, default)
    if value > 1:
        raise RouterSettingsError(f"{name}={env[name]!r}: give a number above 0, at most 1")
    return value


def read_address(env: Environment, name: str, schemes: tuple[str, ...], default: str) -> str:
    """One that begins with one of the schemes.

    Raises RouterSettingsError without the address, which may hold a password.
    """
    value = env.get(name, default)
    if not value.startswith(tuple(f"{scheme}:" for scheme in schemes)):
        raise RouterSettingsError(f"{name}: give an address that begins with {schemes[0]}://")
    return value


def read_choice(env: Environment, name: str, allowed: tuple[str, ...], default: str) -> str:
    """One of the allowed words. Raises RouterSettingsError."""
    value = env.get(name, default)
    if value not in allowed:
        raise RouterSettingsError(f"{name}={value!r}: give one of {', '.join(allowed)}")
    return value
