"""With a keyring at the worker, raising traffic takes a person's signature on exactly that decision."""

import base64
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.converter import DataConverter
from temporalio.testing import WorkflowEnvironment

from activities.contract.models import VerificationRequest, VerificationResult
from activities.contract.timeline_ledger import read_events, read_evidence
from activities.doubles.ledger import MemoryLedger
from activities.identity import IdentityActivities
from sluice.identity.signing import SshKeygenSigner, new_nonce
from sluice.identity.statement import statement_of
from sluice.rollout.engine.commands import Command, Verb
from sluice.rollout.engine.decision_context import DecisionContext, command_context, start_context
from sluice.rollout.engine.event_chain import verify_chain
from sluice.rollout.engine.evidence_chain import verify_evidence
from sluice.rollout.engine.state import Status
from sluice.rollout.plan.schema import RolloutPlan
from sluice.worker.encryption import data_converter
from tests.unit.identity.ssh_fixtures import keyring_line, make_key
from tests.workflows.harness import PLAN, RunningRollout, running_rollout, short_plan


@dataclass
class People:
    """Three people's keys, and the keyring file that the worker reads."""

    folder: Path

    def __post_init__(self) -> None:
        names = ("ada", "bob", "carol", "dan", "eve")
        self.keys = {name: make_key(self.folder, name) for name in names}
        self.write("ada", "bob")

    @property
    def keyring(self) -> Path:
        return self.folder / "keyring"

    def write(self, *names: str, roles: str = "operator,approver") -> None:
        lines = (keyring_line(name, self.keys[name], roles) for name in names)
        self.keyring.write_text("\n".join(lines), encoding="ascii")

    @property
    def identity(self) -> IdentityActivities:
        return IdentityActivities(self.keyring, ledger=MemoryLedger())

    async def sign_start(self, env: WorkflowEnvironment, plan: RolloutPlan, ident: str) -> Command:
        """Sign ada's start of a plan, at the test server's own time."""
        command = Command(actor="ada", reason="release 12")
        context = start_context(ident, plan, command, await env.get_current_time())
        return await self.sign("ada", context, command)

    async def sign(self, name: str, context: DecisionContext, command: Command) -> Command:
        proof = await SshKeygenSigner(self.keys[name]).sign(statement_of(context, new_nonce()))
        return command.model_copy(update={"proof": proof})

    async def sign_command(
        self, name: str, rollout: RunningRollout, verb: Verb, command: Command
    ) -> Command:
        """Sign as a client does, at the test server's own time."""
        now = await rollout.env.get_current_time()
        return await self.sign(
            name, command_context(await rollout.state(), verb, command, now), command
        )


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path)


async def refusal(rollout: RunningRollout, verb: Verb, command: Command) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as error:
        await rollout.command(verb, command)
    return str(error.value.cause)


async def test_start_without_a_right_changes_nothing(
    env: WorkflowEnvironment, people: People
) -> None:
    """A bare client starts no rollout; the flag is not touched."""
    async with running_rollout(env, identity=people.identity) as rollout:
        with pytest.raises(WorkflowFailureError) as error:
            await rollout.handle.result()
        assert "needs a signature" in str(error.value.cause)
        assert rollout.flags.percentages == []


async def test_decisions_of_a_whole_rollout_are_proven(
    env: WorkflowEnvironment, people: People
) -> None:
    """Every forged, replayed or unauthorized way to raise fails; lowering stays open to everybody."""

    async def sign_start(ident: str) -> Command:
        return await people.sign_start(env, short_plan(), ident)

    async with running_rollout(env, identity=people.identity, sign_start=sign_start) as rollout:
        state = await rollout.wait_until(
            lambda s: (
                s.step is not None and s.step.name == "ramp-100" and s.checks.latest is not None
            )
        )
        assert state.decisions.started_by == "ada"
        assert state.checks.latest is not None
        plain = Command(actor="bob", reason="fine", evidence=state.checks.latest.id)
        assert "needs a signature" in await refusal(rollout, Verb.APPROVE, plain)
        forged = await people.sign_command("eve", rollout, Verb.APPROVE, plain)
        assert "not in the keyring" in await refusal(rollout, Verb.APPROVE, forged)
        stolen = await people.sign_command("ada", rollout, Verb.APPROVE, plain)
        assert "the actor is bob" in await refusal(rollout, Verb.APPROVE, stolen)
        own = plain.model_copy(update={"actor": "ada"})
        own = await people.sign_command("ada", rollout, Verb.APPROVE, own)
        assert "ada started the rollout" in await refusal(rollout, Verb.APPROVE, own)
        signed = await people.sign_command("bob", rollout, Verb.APPROVE, plain)
        altered = signed.model_copy(update={"reason": "not what I signed"})
        assert "signs reason" in await refusal(rollout, Verb.APPROVE, altered)
        promoted = plain.model_copy(update={"proof": signed.proof})
        await rollout.handle.signal(Verb.APPROVE, plain)
        await rollout.pass_time(1)
        assert (await rollout.state()).entry.approvals == ()
        assert "refused" in [event.kind for event in (await rollout.state()).timeline]
        await _approve_and_replay(rollout, people, plain, promoted)
        await rollout.handle.result()
        await _require_whole_record(rollout.ledger, rollout.handle.id)
        state = await rollout.state()
        proven = [event for event in state.timeline if event.signer is not None]
        assert [event.kind for event in proven] == ["start", "approve", "resume"]
        assert next(e for e in state.timeline if e.kind == "pause").signer is None
        head = verify_chain(state.timeline, state.rollout_id)
        assert head == state.timeline[-1].digest


async def _require_whole_record(ledger: MemoryLedger, workflow_id: str) -> None:
    """Require that the ledger alone holds the rollout from start to end, in two whole chains."""
    rollout_id = await ledger.latest_rollout_id(workflow_id)
    assert rollout_id is not None
    events = await read_events(ledger, rollout_id)
    assert [events[0].kind, events[-1].kind] == ["start", "end"]
    verify_chain(events, rollout_id)
    rows = await read_evidence(ledger, rollout_id)
    assert len(rows) > 3
    assert verify_evidence(rows, [event.evidence for event in events], rollout_id) == 0


async def _approve_and_replay(
    rollout: RunningRollout, people: People, plain: Command, replayed: Command
) -> None:
    signed = await people.sign_command("bob", rollout, Verb.APPROVE, plain)
    await rollout.command(Verb.APPROVE, signed)
    await rollout.wait_until(lambda s: s.percentage == 100)
    assert "nothing waits for approval" in await refusal(rollout, Verb.APPROVE, replayed)
    await rollout.command(Verb.PAUSE, Command(actor="anybody", reason="strange graphs"))
    resume = Command(actor="bob", reason="all well")
    people.write("ada")
    revoked = await people.sign_command("bob", rollout, Verb.RESUME, resume)
    assert "not in the keyring" in await refusal(rollout, Verb.RESUME, revoked)
    people.keyring.write_text("bob ssh-ed25519 damaged", encoding="ascii")
    assert "keyring line 1" in await refusal(rollout, Verb.RESUME, revoked)
    people.keyring.unlink()
    assert "cannot be read" in await refusal(rollout, Verb.RESUME, revoked)
    people.write("bob")
    await rollout.command(Verb.RESUME, revoked)
    await rollout.command(Verb.PAUSE, Command(actor="anybody"))
    assert "used before" in await refusal(rollout, Verb.RESUME, revoked)
    await rollout.command(Verb.ABORT, Command(actor="anybody", reason="enough"))
    assert (await rollout.state()).status in (Status.ABORTED, Status.PAUSED)


@dataclass(frozen=True)
class ChangingWorkers(IdentityActivities):
    """Workers that replace each other on one task queue; the last one answers."""

    workers: list[IdentityActivities] = field(default_factory=list)

    @activity.defn(name="verify_decision")
    async def verify(self, request: VerificationRequest) -> VerificationResult:
        return await self.workers[-1].verify(request)


async def test_keyring_swapped_between_two_approvals(
    env: WorkflowEnvironment, people: People
) -> None:
    """A worker without the keyring decides nothing; an approval by a key that is gone is void."""
    people.write("ada", "bob", "carol", "dan")
    workers = ChangingWorkers(workers=[people.identity])
    plan = short_plan(PLAN.replace("{required_approvals: 1}", "{required_approvals: 2}"))

    async def sign_start(ident: str) -> Command:
        return await people.sign_start(env, plan, ident)

    async with running_rollout(env, plan, workers, sign_start) as rollout:
        state = await rollout.wait_until(
            lambda s: (
                s.step is not None and s.step.name == "ramp-100" and s.checks.latest is not None
            )
        )
        assert state.checks.latest is not None
        evidence = state.checks.latest.id

        async def approve(name: str) -> None:
            command = Command(actor=name, reason="fine", evidence=evidence)
            signed = await people.sign_command(name, rollout, Verb.APPROVE, command)
            await rollout.command(Verb.APPROVE, signed)

        await approve("bob")
        workers.workers.append(IdentityActivities())
        plain = Command(actor="carol", evidence=evidence)
        assert "has no SLUICE_KEYRING" in await refusal(rollout, Verb.APPROVE, plain)
        workers.workers.append(people.identity)
        people.write("ada", "carol", "dan")
        await approve("carol")
        state = await rollout.state()
        assert [record.actor for record in state.entry.approvals] == ["carol"]
        assert any("approval of bob" in event.text for event in state.timeline)
        assert max(rollout.flags.percentages) == 5
        await approve("dan")
        await rollout.wait_until(lambda s: s.percentage == 100, hours=1)


async def test_signed_start_counts_for_one_run(people: People) -> None:
    """Somebody who reads a start in Temporal cannot start the plan again in the person's name."""
    context = start_context("rollout-x", short_plan(), Command(actor="ada"), datetime.now(UTC))
    proof = (await people.sign("ada", context, Command(actor="ada"))).proof
    identity = people.identity

    async def verify(run_id: str) -> str:
        request = VerificationRequest(context=context, proof=proof, run_id=run_id)
        return (await identity.verify(request)).rejection

    assert [await verify("first"), await verify("first")] == ["", ""], "a retry is the same run"
    assert "for another run" in await verify("second")


async def test_plan_cannot_lower_the_workers_minimum_of_approvals(env: WorkflowEnvironment) -> None:
    """Two must approve each raise, also where the plan asks for one approval or for none."""
    identity = IdentityActivities(approvals_min=2)
    async with running_rollout(env, identity=identity) as rollout:
        for step, live in (("dark", 0), ("ramp-5", 0), ("ramp-100", 5)):
            await _wait_for_step(rollout, step)
            await rollout.pass_time(2)
            await rollout.approve("ada")
            with pytest.raises(WorkflowUpdateFailedError):
                await rollout.approve("ada")
            await rollout.pass_time(10)
            assert max(rollout.flags.percentages, default=0) == live
            await rollout.approve("bob")
    alone = "approval: {required_approvals: 1, eligible_approvers: [ada]}"
    plan = short_plan(PLAN.replace("approval: {required_approvals: 1}", alone))
    async with running_rollout(env, plan, identity) as rollout:
        with pytest.raises(WorkflowFailureError) as error:
            await rollout.handle.result()
        assert "names 1 eligible_approvers" in str(error.value.cause)


async def _wait_for_step(rollout: RunningRollout, name: str) -> None:
    await rollout.wait_until(lambda s: s.step is not None and s.step.name == name)


async def test_worker_with_keyring_and_payload_keys_ignores_plain_payloads(
    env: WorkflowEnvironment,
) -> None:
    """Without the payload key nobody commands a rollout, nor blocks it; with the key it goes on."""
    key = base64.b64encode(bytes(32)).decode()
    worker = _with_converter(env.client, data_converter(f"k1:{key}", require_encryption=True))
    person = _with_converter(env.client, data_converter(f"k1:{key}"))
    async with running_rollout(env, client=worker) as rollout:
        await rollout.wait_until(lambda s: bool(s.timeline))
        bare = env.client.get_workflow_handle(rollout.handle.id)
        await bare.signal(Verb.PAUSE, Command(actor="eve"))
        with pytest.raises(WorkflowUpdateFailedError):
            await bare.execute_update(Verb.PAUSE, Command(actor="eve"))
        assert (await rollout.state()).pause is None
        own = person.get_workflow_handle(rollout.handle.id)
        await own.execute_update(Verb.PAUSE, Command(actor="ada"))
        assert (await rollout.state()).pause is not None


def _with_converter(client: Client, converter: DataConverter) -> Client:
    return Client(client.service_client, namespace=client.namespace, data_converter=converter)
