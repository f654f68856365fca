"""Claude through Anthropic's SDK, answering in a JSON schema."""

import anthropic
from anthropic.types import Message

from router.llm.port import LanguageModelError, T, Tokens, UsageHook
from router.llm.responses import parse_response, report_usage, status_reason
from router.llm.settings import LLMSettings


class AnthropicModel:
    """One model behind the Messages API. Close it with ``aclose`` when the process ends."""

    def __init__(self, settings: LLMSettings, *, on_usage: UsageHook | None = None) -> None:
        self._settings = settings
        self._on_usage = on_usage
        self._client = anthropic.AsyncAnthropic(
            api_key=settings.anthropic_api_key,
            base_url=settings.anthropic_base_url,
            timeout=settings.timeout,
            max_retries=settings.max_retries,
        )

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        """Complete a prompt (``LanguageModel.complete``); instructions are marked for the prompt cache."""
        message = await self._send(system, prompt, anthropic.transform_schema(schema))
        try:
            used, stop, blocks = message.usage, message.stop_reason, message.content
            tokens = Tokens(
                input=used.input_tokens,
                output=used.output_tokens,
                cache_read=used.cache_read_input_tokens or 0,
                cache_write=used.cache_creation_input_tokens or 0,
            )
            text = "".join(block.text for block in blocks if block.type == "text")
        except (AttributeError, TypeError) as error:
            raise LanguageModelError("invalid", f"no Messages API answer: {error}") from error
        report_usage(
            self._on_usage,
            model=self._settings.anthropic_model,
            tokens=tokens,
            price=self._settings.price,
        )
        if stop == "refusal":
            raise LanguageModelError("refused", "Claude refused to answer")
        if stop in ("max_tokens", "model_context_window_exceeded"):
            raise LanguageModelError("truncated", f"the answer was cut off ({stop})")
        return parse_response(text, schema)

    async def aclose(self) -> None:
        await self._client.close()

    async def _send(self, system: str, prompt: str, schema: dict[str, object]) -> Message:
        try:
            return await self._client.messages.create(
                model=self._settings.anthropic_model,
                max_tokens=self._settings.max_tokens,
                system=[{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}],
                messages=[{"role": "user", "content": prompt}],
                output_config={"format": {"type": "json_schema", "schema": schema}},
            )
        except anthropic.APITimeoutError as error:
            raise LanguageModelError("timeout", "Anthropic did not answer in time") from error
        except anthropic.APIConnectionError as error:
            raise LanguageModelError("unavailable", f"Anthropic: {error}") from error
        except anthropic.APIStatusError as error:
            reason = status_reason(error.status_code)
            raise LanguageModelError(reason, f"Anthropic answered {error.status_code}") from error
        except (anthropic.AnthropicError, ValueError, TypeError) as error:
            raise LanguageModelError("invalid", f"Anthropic: {error}") from error
