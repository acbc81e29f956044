"""clients/js: an answer to another call is rejected, and processes share no connection."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from client.test_calls import APPROVED, ID, PENDING, PHONE, PROOF, REDEEMED
from client.test_forks import OTHER, with_id
from support import scripted_service
from support.nodejs import ROOT, make_call, make_calls, node
from support.scripted_service import ScriptedService, proof_of, redeems, says

REDEEM = ["redeem", PROOF, {"purpose": "login"}]
MIXED_UP: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "redeem, another verification": (REDEEM, REDEEMED | {"verification_id": OTHER}),
    "redeem, another phone": (REDEEM, REDEEMED | {"phone": "+8613900139000"}),
    "redeem, another client": (REDEEM, REDEEMED | {"client": "mall"}),
    "redeem, another purpose": (REDEEM, REDEEMED | {"purpose": "signup"}),
    "redeem, a proof that says nothing": (["redeem", "x.y.z", {"purpose": "login"}], REDEEMED),
    "redeem, no proof": (["redeem", "", {"purpose": "login"}], REDEEMED),
    "redeem, a proof of null": (["redeem", "bnVsbA.y.z", {"purpose": "login"}], REDEEMED),
    "redeem, a proof for another purpose": (
        ["redeem", proof_of(ID, PHONE, "signup"), {"purpose": "login"}],
        REDEEMED | {"purpose": "signup"},
    ),
    "verify": (["verify", PHONE, ID, "012345"], APPROVED | {"verification_id": OTHER}),
    "resend": (["resend", PHONE, ID], PENDING | {"verification_id": OTHER}),
    "request": (["request", PHONE, {"purpose": "signup"}], PENDING),
}


@pytest.fixture
def service() -> Iterator[ScriptedService]:
    with scripted_service.serving() as service:
        yield service


@pytest.mark.parametrize(("call", "answer"), MIXED_UP.values(), ids=MIXED_UP.keys())
def test_answer_to_another_call_is_an_unknown_outcome(
    service: ScriptedService, call: list[Any], answer: dict[str, Any]
) -> None:
    service.will(says(204), says(200, answer), says(204))
    made = make_calls(service.url, ["cancel", PHONE, ID], call, ["cancel", PHONE, ID])["results"]
    peers = [seen.peer for seen in service.calls]

    assert made[1]["error"]["name"] == "OutcomeUnknown"
    assert made[1]["error"]["facts"]["cause"] == "answer to another call"
    assert (peers[0] == peers[1], peers[1] == peers[2]) == (True, False)  # the connection was closed


def test_answer_with_the_id_of_another_call_is_rejected(service: ScriptedService) -> None:
    service.will(with_id(says(204), "otpc_abcdefgh"))

    assert make_call(service.url, "cancel", PHONE, ID)["error"]["name"] == "OutcomeUnknown"


def test_request_id_of_a_proxy_is_ignored(service: ScriptedService) -> None:
    service.will(with_id(says(204), "7f1d0c6a9c7e4a3db1d5a6f0"))

    assert "error" not in make_call(service.url, "cancel", PHONE, ID)


def test_rejection_with_an_id_of_the_service_is_accepted(service: ScriptedService) -> None:
    """The service ignores the id of a caller with an unknown key."""
    service.will(with_id(scripted_service.problem(401, "unauthorized"), "req_abcdefgh000001"))

    assert make_call(service.url, "cancel", PHONE, ID)["error"]["facts"]["code"] == "unauthorized"


def test_every_call_has_its_own_id(service: ScriptedService) -> None:
    service.will(says(204), says(204))
    make_calls(service.url, ["cancel", PHONE, ID], ["cancel", PHONE, ID])

    assert len({seen.headers["X-Request-Id"] for seen in service.calls}) == 2


CLUSTER = """
import cluster from "node:cluster";
import { OtpClient } from "%(client)s";

const client = new OtpClient("%(url)s", "sk_x");
const proofs = %(proofs)s;
const phones = [];
const redeem = async (mine) => {
  for (const proof of mine) phones.push((await client.redeem(proof, { purpose: "login" })).phone);
  client.close();
};
if (cluster.isPrimary) {
  await redeem(proofs[0]);
  const workers = [1, 2].map((n) => cluster.fork({ N: n }));
  const received = await Promise.all(workers.map((w) => new Promise((done) => w.on("message", done))));
  console.log(JSON.stringify([phones, ...received]));
} else {
  await redeem(proofs[process.env.N]);
  process.send(phones, () => process.disconnect());
}
"""


def test_workers_of_a_cluster_get_the_answers_to_their_own_calls(
    service: ScriptedService, tmp_path: Any
) -> None:
    """Workers are new processes and inherit no connection of the primary."""
    service.always = redeems
    phones = [[f"+86139{worker * 100 + call:08d}" for call in range(10)] for worker in range(3)]
    proofs = [[proof_of(phone[3:].zfill(22), phone) for phone in mine] for mine in phones]
    program = tmp_path / "cluster.mjs"
    index = ROOT / "clients" / "js" / "index.js"
    program.write_text(CLUSTER % {"client": index, "url": service.url, "proofs": json.dumps(proofs)})
    result = subprocess.run([node(), str(program)], capture_output=True, text=True, timeout=60, check=False)

    assert json.loads(result.stdout or "null") == phones, result.stderr
