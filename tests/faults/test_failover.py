"""Masters that die under load, with Sentinel and in a cluster, as docs/operations.md describes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from faults.crowd import Crowd
from support.call_history import check
from support.deployment import Deployment, running_service
from support.redis_clusters import running_cluster
from support.redis_sentinels import running_sentinels
from support.redis_servers import Server, redis_binary
from support.waiting import wait_until

Note = Callable[[str, object], None]

LAG = 1.0
"""Seconds; much more than the lag of a replica on the same machine. Newer writes may be lost."""

LATEST = 20.0
"""Seconds in which the service must recover, even on a busy machine; usually it takes one or two."""


def pointed_at(url: str, *more: str) -> Callable[[str], str]:
    """Return a change that makes a configuration use *url*."""

    def change(text: str) -> str:
        before, _, after = text.partition('url = "')
        return f'{before}url = "{url}"\n' + "\n".join(more) + after.partition('"')[2]

    return change


def kill_under_load(service: Deployment, victim: Server, note: Note) -> tuple[Crowd, float]:
    """Kill *victim* under load, and go on until the crowd is served again."""
    crowd = Crowd(service)
    with crowd.signing_in():
        wait_until(lambda: len(crowd.redeemed) > 40)
        died_at = time.time()
        victim.process.kill()
        victim.process.wait()
        wait_until(lambda: bool(crowd.failed()))
        wait_until(lambda: service.get("/readyz").status == 200)
        back_at = time.time()
        wait_until(lambda: crowd.served_since(back_at) > 40)
    note("ready after s", round(back_at - died_at, 2))
    note("last failure after s", round(crowd.recovery(died_at), 2))
    note("calls", len(crowd.history.calls))
    note("failed", len(crowd.failed()))
    note("outcomes", dict(crowd.outcomes()))
    note("verifications lost", len(crowd.forgotten()))
    assert crowd.recovery(died_at) < LATEST
    assert set(crowd.outcomes()) <= {200, 201, 202, 404, 503}
    assert service.process.poll() is None
    return crowd, died_at


def test_sentinels_promote_another_master_and_replicated_writes_are_not_lost(
    tmp_path: Path, record_property: Note
) -> None:
    with running_sentinels(redis_binary(), replicas=2) as setup:
        change = pointed_at(setup.url(), "min_replica_acks = 1")
        with running_service(setup.master, tmp_path, change=change) as service:
            crowd, _ = kill_under_load(service, setup.master, record_property)

            assert setup.master_port() in {replica.port for replica in setup.replicas}
            again = crowd.replay_everything()
            record_property("codes and proofs taken twice", list(map(len, again)))
            assert again == ([], [])
            assert crowd.forgotten() == []
            check(crowd.complete_history())


def test_cluster_continues_without_a_master_and_loses_only_unreplicated_writes(
    tmp_path: Path, record_property: Note
) -> None:
    with running_cluster(redis_binary(), 3, 3) as cluster:
        change = pointed_at(cluster.url())
        with running_service(cluster.masters[0], tmp_path, change=change) as service:
            crowd, died_at = kill_under_load(service, cluster.masters[0], record_property)

            codes, proofs = crowd.replay_everything()
            record_property("codes and proofs taken twice", [len(codes), len(proofs)])
            lost = {one.verification_id for one in codes + proofs} | {
                call.verification_id for call in crowd.forgotten()
            }
            assert others_were_served(crowd, died_at)
            assert opened_before(crowd, died_at - LAG).isdisjoint(lost)
            history = crowd.complete_history()
            history.calls = [call for call in history.calls if call.verification_id not in lost]
            check(history)


def others_were_served(crowd: Crowd, died_at: float) -> bool:
    """Return whether phones of the other masters were served while one was missing."""
    gone = crowd.recovery(died_at)
    return any(
        call.status in (200, 201) and died_at < call.began and call.ended < died_at + gone
        for call in crowd.history.calls
    )


def opened_before(crowd: Crowd, moment: float) -> set[str]:
    return {one.verification_id for one in crowd.signed_in if one.at < moment}
