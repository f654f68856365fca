"""OpenAI models, and servers that speak their protocol, through OpenAI's SDK."""

import openai
from openai.types.chat import ChatCompletion
from pydantic import BaseModel

from router.llm.port import LanguageModelError, T, Tokens, UsageHook
from router.llm.responses import parse_response, report_usage, status_reason
from router.llm.settings import LLMSettings


class OpenAIModel:
    """One model behind Chat Completions. Close it with ``aclose`` when the process ends."""

    def __init__(self, settings: LLMSettings, *, on_usage: UsageHook | None = None) -> None:
        self._settings = settings
        self._on_usage = on_usage
        self._client = openai.AsyncOpenAI(
            api_key=settings.openai_api_key,
            base_url=settings.openai_base_url,
            timeout=settings.timeout,
            max_retries=settings.max_retries,
        )

    async def complete(self, *, system: str, prompt: str, schema: type[T]) -> T:
        """Complete a prompt (``LanguageModel.complete``); OpenAI caches equal prefixes itself."""
        completion = await self._send(system, prompt, schema)
        try:
            choice = completion.choices[0]
            text, refusal = choice.message.content, choice.message.refusal
            stop, tokens = choice.finish_reason, _tokens(completion)
        except (AttributeError, IndexError, TypeError) as error:
            raise LanguageModelError("invalid", f"no Chat Completions answer: {error}") from error
        report_usage(
            self._on_usage,
            model=self._settings.openai_model,
            tokens=tokens,
            price=self._settings.price,
        )
        if refusal or stop == "content_filter":
            raise LanguageModelError("refused", "the model refused to answer")
        if stop == "length":
            raise LanguageModelError("truncated", "the answer was cut off at max_tokens")
        return parse_response(text or "", schema)

    async def aclose(self) -> None:
        await self._client.close()

    async def _send(self, system: str, prompt: str, schema: type[BaseModel]) -> ChatCompletion:
        strict = openai.pydantic_function_tool(schema)["function"]["parameters"]
        try:
            return await self._client.chat.completions.create(
                model=self._settings.openai_model,
                max_completion_tokens=self._settings.max_tokens,
                messages=[
                    {"role": "system", "content": system},
                    {"role": "user", "content": prompt},
                ],
                response_format={
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "strict": True, "schema": strict},
                },
            )
        except openai.APITimeoutError as error:
            raise LanguageModelError("timeout", "OpenAI did not answer in time") from error
        except openai.APIConnectionError as error:
            raise LanguageModelError("unavailable", f"OpenAI: {error}") from error
        except openai.APIStatusError as error:
            reason = status_reason(error.status_code)
            raise LanguageModelError(reason, f"OpenAI answered {error.status_code}") from error
        except (openai.OpenAIError, ValueError, TypeError) as error:
            raise LanguageModelError("invalid", f"OpenAI: {error}") from error


def _tokens(completion: ChatCompletion) -> Tokens:
    """Count tokens; OpenAI includes cached ones in the prompt's, and other servers may omit usage."""
    usage = completion.usage
    if usage is None:
        return Tokens(input=0, output=0)
    details = usage.prompt_tokens_details
    cached = (details.cached_tokens or 0) if details is not None else 0
    return Tokens(
        input=usage.prompt_tokens - cached, output=usage.completion_tokens, cache_read=cached
    )
