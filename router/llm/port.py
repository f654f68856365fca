"""The port to any language model: one call, one validated answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


class LanguageModelError(RuntimeError):
    """A language model gave no usable answer; the caller continues without one.

    ``reason`` is one of ``timeout``, ``rate_limited``, ``unavailable``, ``rejected``, ``refused``,
    ``truncated``, ``invalid``: a fixed set, fit for a metric's label.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call, each counted once: ``input`` excludes cached tokens."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """The usage of one answered call; ``cost_usd`` is zero without a configured price."""

    model: str
    tokens: Tokens
    cost_usd: float


UsageHook = Callable[[Usage], None]


class LanguageModel(Protocol):
    """Port of a language model that answers in a schema."""

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        """Answer ``prompt`` under the instructions ``system`` as an instance of ``schema``.

        Raises:
            LanguageModelError: whatever went wrong, the wait included.
        """
        ...


class ClosableModel(LanguageModel, Protocol):
    """A model with its own connections; its creator closes it."""

    async def aclose(self) -> None: ...
