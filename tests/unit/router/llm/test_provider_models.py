"""The real SDKs against a small HTTP server that answers as the providers do on bad days."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict

from router.llm import (
    ClosableModel,
    LanguageModelError,
    LLMSettings,
    Price,
    Tokens,
    Usage,
    create_language_model,
)

Provider = Literal["anthropic", "openai"]
PROVIDERS: tuple[Provider, ...] = ("anthropic", "openai")


class LabelledAnswer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: Literal["yes", "no"]
    certainty: float


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    declared: int | None = None  # Content-Length, when it lies


@dataclass
class StubProvider:
    """A provider that sends its replies in order, repeats the last, and stores the requests."""

    replies: list[Reply]
    port: int = 0
    requests: list[dict[str, Any]] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.split("content-length:")[1].split("\r\n")[0])
            self.requests.append(json.loads(await reader.readexactly(length)))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            await asyncio.sleep(reply.delay)
            size = len(reply.body) if reply.declared is None else reply.declared
            lines = {"content-type": "application/json", "content-length": str(size)}
            lines |= {"connection": "close"} | reply.headers
            text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
            writer.write(f"HTTP/1.1 {reply.status} X\r\n{text}\r\n".encode() + reply.body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client gave up, as it should after its timeout
        finally:
            writer.close()


@asynccontextmanager
async def running_provider(*replies: Reply) -> AsyncIterator[StubProvider]:
    provided = StubProvider(list(replies))
    server = await asyncio.start_server(provided.answer, "127.0.0.1", 0)
    provided.port = server.sockets[0].getsockname()[1]
    try:
        yield provided
    finally:
        server.close()


def settings_for(provider: Provider, port: int) -> LLMSettings:
    base = f"http://127.0.0.1:{port}"
    return LLMSettings(
        provider=provider,
        anthropic_api_key="key",
        anthropic_base_url=base,
        openai_api_key="key",
        openai_base_url=f"{base}/v1",
        timeout=0.5,
        max_retries=0,
        price=Price(input=1.0, output=5.0, cache_read=0.1, cache_write=1.25),
    )


def provider_message(provider: Provider, text: str, *, stop: str = "") -> bytes:
    """Return a provider's answer with ``text``: 20 fresh input tokens, 100 from the cache, 9 out."""
    if provider == "anthropic":
        return json.dumps(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "claude-haiku-4-5",
                "content": [{"type": "text", "text": text}],
                "stop_reason": stop or "end_turn",
                "usage": {"input_tokens": 20, "output_tokens": 9, "cache_read_input_tokens": 100},
            }
        ).encode()
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": stop or "stop",
    }
    usage = {
        "prompt_tokens": 120,
        "completion_tokens": 9,
        "total_tokens": 129,
        "prompt_tokens_details": {"cached_tokens": 100},
    }
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return json.dumps(body | {"usage": usage}).encode()


VALID_ANSWER = '{"label": "yes", "certainty": 0.9}'


@asynccontextmanager
async def open_model(
    settings: LLMSettings, hook: Callable[[Usage], None] | None = None
) -> AsyncIterator[ClosableModel]:
    model = create_language_model(settings, on_usage=hook)
    assert model is not None
    try:
        yield model
    finally:
        await model.aclose()


async def ask_model(model: ClosableModel) -> LabelledAnswer:
    return await model.complete(system="Decide.", prompt="Is it?", schema=LabelledAnswer)


async def failure_of(provider: Provider, *replies: Reply, retries: int = 0) -> LanguageModelError:
    async with running_provider(*replies) as provided:
        settings = replace(settings_for(provider, provided.port), max_retries=retries)
        async with open_model(settings) as model:
            with pytest.raises(LanguageModelError) as caught:
                await ask_model(model)
    return caught.value


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_an_answer_in_the_schema_is_returned_and_counted(provider: Provider) -> None:
    used: list[Usage] = []
    async with (
        running_provider(Reply(body=provider_message(provider, VALID_ANSWER))) as provided,
        open_model(settings_for(provider, provided.port), used.append) as model,
    ):
        assert await ask_model(model) == LabelledAnswer(label="yes", certainty=0.9)
    assert [usage.tokens for usage in used] == [Tokens(input=20, output=9, cache_read=100)]
    assert used[0].cost_usd == pytest.approx((20 * 1.0 + 9 * 5.0 + 100 * 0.1) / 1e6)


async def test_anthropic_instructions_are_cached_and_limits_and_schema_sent() -> None:
    async with (
        running_provider(Reply(body=provider_message("anthropic", VALID_ANSWER))) as provided,
        open_model(settings_for("anthropic", provided.port)) as model,
    ):
        await ask_model(model)
    request = provided.requests[0]
    assert request["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert request["max_tokens"] == 512
    schema = request["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"label", "certainty"}


async def test_openai_is_sent_a_strict_schema_and_limits() -> None:
    async with (
        running_provider(Reply(body=provider_message("openai", VALID_ANSWER))) as provided,
        open_model(settings_for("openai", provided.port)) as model,
    ):
        await ask_model(model)
    request = provided.requests[0]
    assert request["max_completion_tokens"] == 512
    assert request["response_format"]["json_schema"]["strict"] is True
    assert request["response_format"]["json_schema"]["schema"]["additionalProperties"] is False


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (429, "rate_limited"),
        (529, "unavailable"),
        (503, "unavailable"),
        (401, "rejected"),
        (400, "rejected"),
    ],
)
async def test_every_http_failure_has_its_reason(
    provider: Provider, status: int, reason: str
) -> None:
    body = json.dumps({"type": "error", "error": {"type": "x", "message": "no"}}).encode()
    assert (await failure_of(provider, Reply(status, body))).reason == reason


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_brief_overload_is_retried(provider: Provider) -> None:
    replies = (
        Reply(529, b"{}", {"retry-after-ms": "1"}),
        Reply(body=provider_message(provider, VALID_ANSWER)),
    )
    async with running_provider(*replies) as provided:
        settings = replace(settings_for(provider, provided.port), max_retries=1)
        async with open_model(settings) as model:
            assert (await ask_model(model)).label == "yes"
    assert len(provided.requests) == 2


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_slow_answer_is_a_timeout(provider: Provider) -> None:
    error = await failure_of(
        provider, Reply(body=provider_message(provider, VALID_ANSWER), delay=2.0)
    )
    assert error.reason == "timeout"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "text", ["no JSON at all", '{"label": "maybe", "certainty": 1}', '{"label": "yes"', ""]
)
async def test_text_outside_the_schema_is_invalid(provider: Provider, text: str) -> None:
    assert (
        await failure_of(provider, Reply(body=provider_message(provider, text)))
    ).reason == "invalid"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    "body", [b"<html>gateway</html>", b"[]", b"{}", b'{"choices": []}', b"{", b"null"]
)
async def test_a_malformed_response_body_is_invalid(provider: Provider, body: bytes) -> None:
    assert (await failure_of(provider, Reply(body=body))).reason == "invalid"


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_body_cut_off_on_the_way_is_an_error(provider: Provider) -> None:
    body = provider_message(provider, VALID_ANSWER)
    error = await failure_of(provider, Reply(body=body[:40], declared=len(body)))
    assert error.reason == "unavailable"


@pytest.mark.parametrize(
    ("provider", "stop", "reason"),
    [
        ("anthropic", "refusal", "refused"),
        ("anthropic", "max_tokens", "truncated"),
        ("openai", "content_filter", "refused"),
        ("openai", "length", "truncated"),
    ],
)
async def test_refusals_and_truncated_answers_have_distinct_reasons(
    provider: Provider, stop: str, reason: str
) -> None:
    assert (
        await failure_of(provider, Reply(body=provider_message(provider, "{", stop=stop)))
    ).reason == reason


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_nobody_listening_is_unavailable(provider: Provider) -> None:
    async with running_provider(Reply()) as provided:
        port = provided.port
    async with open_model(settings_for(provider, port)) as model:
        with pytest.raises(LanguageModelError) as caught:
            await ask_model(model)
    assert caught.value.reason == "unavailable"


def test_without_a_key_there_is_no_model_and_keys_are_never_shown() -> None:
    assert create_language_model(LLMSettings()) is None
    assert create_language_model(LLMSettings(provider="openai", anthropic_api_key="k")) is None
    one, both = (
        LLMSettings(openai_api_key="k"),
        LLMSettings(openai_api_key="k", anthropic_api_key="k"),
    )
    assert type(create_language_model(one)).__name__ == "OpenAIModel"
    assert type(create_language_model(both)).__name__ == "AnthropicModel"
    assert "hidden" not in repr(LLMSettings(openai_api_key="hidden"))
