"""The embedded Temporal server: retention, search attributes, and a UI that only reads."""

import json
from datetime import timedelta

import httpx
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from sluice.stack import Stack

pytestmark = pytest.mark.integration


async def test_temporal_keeps_histories_for_90_days_and_knows_our_attributes(
    temporal_address: str,
) -> None:
    client = await Client.connect(temporal_address)
    namespace = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    kept = namespace.config.workflow_execution_retention_ttl.ToTimedelta()
    assert kept == timedelta(days=90)
    attributes = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace="default")
    )
    ours = {"SluiceFlag", "SluiceStage", "SluicePercentage", "SluiceStatus"}
    assert ours <= set(attributes.custom_attributes)


async def test_the_temporal_ui_shows_workflows_and_refuses_to_change_them(
    temporal_address: str, shared_stack: Stack
) -> None:
    """The advertised UI only reads; its settings hide the buttons of what it refuses."""
    client = await Client.connect(temporal_address)
    handle = await client.start_workflow("Note", id="read-only-ui", task_queue="nobody")
    workflows = "/api/v1/namespaces/default/workflows"
    ui = shared_stack.environment()["TEMPORAL_UI_URL"]
    async with httpx.AsyncClient(base_url=ui, trust_env=False) as browser:
        assert "<html" in (await browser.get(workflows.removeprefix("/api/v1"))).text
        assert (await browser.get("/api/v1/settings")).json()["DisableWriteActions"] is True
        assert (await browser.get("/", headers={"Host": "evil.example"})).status_code == 400
        token = {"X-CSRF-Token": browser.cookies["_csrf"]}
        for method, action in [
            ("POST", "terminate"),
            ("POST", "signal/abort"),
            ("POST", "query/../terminate"),
            ("POST", "terminate/query/a%2F..%2F..%2Fterminate"),
            ("PUT", "terminate"),
            ("DELETE", ""),
            ("PATCH", "terminate"),
        ]:
            path = f"{workflows}/read-only-ui/{action}"
            answer = await browser.request(method, path, json={}, headers=token)
            assert answer.status_code == 403, (method, action)
        answer = await browser.post(f"{workflows}/absent/query/status", json={}, headers=token)
        assert "workflow not found" in answer.text  # the server's own words: a query passes
        shown = (await browser.get(f"{workflows}/read-only-ui")).json()["workflowExecutionInfo"]
        assert shown["status"] == "WORKFLOW_EXECUTION_STATUS_RUNNING"
    await handle.terminate()


async def test_a_page_in_a_browser_does_not_reach_the_servers_http_api(
    temporal_address: str, shared_stack: Stack
) -> None:
    """Its writes need no token: any page could end a rollout, whose port it only has to guess."""
    port = json.loads((shared_stack.home / "ports.json").read_text())["temporal"]["http"]
    client = await Client.connect(temporal_address)
    handle = await client.start_workflow("Note", id="no-foreign-page", task_queue="nobody")
    path = "/api/v1/namespaces/default/workflows/no-foreign-page"
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as page:
        for host in (f"127.0.0.1:{port}", "localhost", "evil.example"):
            headers = {"Host": host, "Origin": "http://evil.example", "Content-Type": "text/plain"}
            answer = await page.post(f"{path}/terminate", content="{}", headers=headers)
            assert answer.status_code == 403, host
    await handle.terminate()
