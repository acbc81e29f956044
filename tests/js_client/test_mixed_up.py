"""clients/js: an answer to another call is not taken, and processes share no connection."""

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
from support.scripted_service import Scripted, proof_of, redeems, says

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
def service() -> Iterator[Scripted]:
    with scripted_service.serving() as service:
        yield service


@pytest.mark.parametrize(("call", "answer"), MIXED_UP.values(), ids=MIXED_UP.keys())
def test_an_answer_to_another_call_leaves_the_outcome_unknown(
    service: Scripted, call: list[Any], answer: dict[str, Any]
) -> None:
    service.will(says(204), says(200, answer), says(204))
    made = make_calls(service.url, ["cancel", PHONE, ID], call, ["cancel", PHONE, ID])["results"]
    peers = [seen.peer for seen in service.calls]

    assert made[1]["error"]["name"] == "OutcomeUnknown"
    assert made[1]["error"]["facts"]["cause"] == "answer to another call"
    assert (peers[0] == peers[1], peers[1] == peers[2]) == (True, False)  # the connection was given up


def test_an_answer_that_bears_the_id_of_another_call_is_not_taken(service: Scripted) -> None:
    service.will(with_id(says(204), "otpc_abcdefgh"))

    assert make_call(service.url, "cancel", PHONE, ID)["error"]["name"] == "OutcomeUnknown"


def test_an_id_that_a_proxy_has_chosen_says_nothing(service: Scripted) -> None:
    service.will(with_id(says(204), "7f1d0c6a9c7e4a3db1d5a6f0"))

    assert "error" not in make_call(service.url, "cancel", PHONE, ID)


def test_a_refusal_that_bears_an_id_of_the_services_own_is_read(service: Scripted) -> None:
    """The service takes no id from a caller whose key it does not know."""
    service.will(with_id(scripted_service.problem(401, "unauthorized"), "req_abcdefgh000001"))

    assert make_call(service.url, "cancel", PHONE, ID)["error"]["facts"]["code"] == "unauthorized"


def test_every_call_has_an_id_of_its_own(service: Scripted) -> None:
    service.will(says(204), says(204))
    make_calls(service.url, ["cancel", PHONE, ID], ["cancel", PHONE, ID])

    assert len({seen.headers["X-Request-Id"] for seen in service.calls}) == 2


CLUSTER = """
import cluster from "node:cluster";
import { OtpClient } from "%(client)s";

const client = new OtpClient("%(url)s", "sk_x");
const proofs = %(proofs)s;
const told = [];
const redeem = async (mine) => {
  for (const proof of mine) told.push((await client.redeem(proof, { purpose: "login" })).phone);
  client.close();
};
if (cluster.isPrimary) {
  await redeem(proofs[0]);
  const workers = [1, 2].map((n) => cluster.fork({ N: n }));
  const heard = await Promise.all(workers.map((w) => new Promise((done) => w.on("message", done))));
  console.log(JSON.stringify([told, ...heard]));
} else {
  await redeem(proofs[process.env.N]);
  process.send(told, () => process.disconnect());
}
"""


def test_workers_of_a_cluster_get_the_answers_to_their_own_calls(service: Scripted, tmp_path: Any) -> None:
    """They are processes of their own from their first line: no connection of the primary is theirs."""
    service.always = redeems
    phones = [[f"+86139{worker * 100 + call:08d}" for call in range(10)] for worker in range(3)]
    proofs = [[proof_of(phone[3:].zfill(22), phone) for phone in mine] for mine in phones]
    program = tmp_path / "cluster.mjs"
    index = ROOT / "clients" / "js" / "index.js"
    program.write_text(CLUSTER % {"client": index, "url": service.url, "proofs": json.dumps(proofs)})
    done = subprocess.run([node(), str(program)], capture_output=True, text=True, timeout=60, check=False)

    assert json.loads(done.stdout or "null") == phones, done.stderr
