"""The narrow seam to any language model: one call, one validated answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


class LanguageModelError(RuntimeError):
    """No usable answer from a language model; the caller goes on without one.

    ``reason`` is one of ``timeout``, ``rate_limited``, ``unavailable``, ``rejected``, ``refused``,
    ``truncated``, ``invalid``: a fixed set, fit for a metric's label.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one call, each counted once: ``input`` leaves out what the prompt cache served."""

    input: int
    output: int
    cache_read: int = 0
    cache_write: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answered call used; ``cost_usd`` is zero where no price was configured."""

    model: str
    tokens: Tokens
    cost_usd: float


UsageHook = Callable[[Usage], None]


class LanguageModel(Protocol):
    """A language model that answers in a given shape."""

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        """Answer ``prompt`` under the instructions ``system`` as an instance of ``schema``.

        Raises:
            LanguageModelError: whatever went wrong, the wait included.
        """
        ...


class ClosableModel(LanguageModel, Protocol):
    """A model with connections of its own; whoever opened it closes it."""

    async def aclose(self) -> None: ...
