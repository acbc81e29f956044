"""Real Redis Clusters; each server is a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise

import redis
from support.redis_servers import Server, free_port, running
from support.waiting import wait_until

HASH_SLOTS = 16_384


@dataclass(frozen=True)
class Cluster:
    """A running cluster, in which all *masters* have the same number of *replicas*."""

    masters: list[Server]
    replicas: list[Server]

    @property
    def nodes(self) -> list[Server]:
        return [*self.masters, *self.replicas]

    def url(self, login: str = "") -> str:
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        return f"redis+cluster://{login}{hosts}"

    def client(self) -> redis.RedisCluster:
        """Return a cluster client of redis-py."""
        return redis.RedisCluster("127.0.0.1", self.masters[0].port)


@contextmanager
def running_cluster(
    binary: str, masters: int = 3, replicas: int = 0, *options: str, node_timeout: int = 1000
) -> Iterator[Cluster]:
    """Run a cluster until the block ends; *node_timeout* in ms."""
    with ExitStack() as stack:

        def start() -> Server:
            cluster_options = ["--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout)]
            cluster_options += ["--cluster-port", str(buses.setdefault(len(buses), free_port()))]
            return stack.enter_context(running(binary, *cluster_options, *options))

        buses: dict[int, int] = {}
        cluster = Cluster([start() for _ in range(masters)], [start() for _ in range(replicas)])
        _join(cluster, list(buses.values()))
        yield cluster


def _join(cluster: Cluster, buses: list[int]) -> None:
    bounds = [round(HASH_SLOTS * i / len(cluster.masters)) for i in range(len(cluster.masters) + 1)]
    for epoch, (node, (first, end)) in enumerate(zip(cluster.masters, pairwise(bounds), strict=True), 1):
        run_command(node, "CLUSTER", "SET-CONFIG-EPOCH", epoch)
        run_command(node, "CLUSTER", "ADDSLOTSRANGE", first, end - 1)
    hub = cluster.masters[0]
    for node, bus in zip(cluster.nodes[1:], buses[1:], strict=True):
        run_command(hub, "CLUSTER", "MEET", "127.0.0.1", node.port, bus)
    wait_until(lambda: all(_knows_all(node, cluster) for node in cluster.nodes))
    for number, replica in enumerate(cluster.replicas):
        master = cluster.masters[number % len(cluster.masters)]
        run_command(replica, "CLUSTER", "REPLICATE", run_command(master, "CLUSTER", "MYID"))
    for replica in cluster.replicas:
        wait_until(lambda replica=replica: is_synced(replica))  # type: ignore[misc]
    wait_until(lambda: all(_is_healthy(node) for node in cluster.nodes))


def _knows_all(node: Server, cluster: Cluster) -> bool:
    known = str(run_command(node, "CLUSTER", "NODES")).splitlines()
    return len(known) == len(cluster.nodes) and not any("handshake" in line for line in known)


def _is_healthy(node: Server) -> bool:
    return "cluster_state:ok" in str(run_command(node, "CLUSTER", "INFO"))


def is_synced(replica: Server) -> bool:
    """Return whether *replica* is connected to its master."""
    return "master_link_status:up" in str(run_command(replica, "INFO", "replication"))


def run_command(node: Server, *command: object) -> object:
    """Send any command to *node*, also one that redis-py has no method for, and return the reply."""
    with node.client(decode_responses=True) as client:
        connection = client.connection_pool.get_connection()
        connection.send_command(*command)
        reply: object = connection.read_response()
        client.connection_pool.release(connection)
        return reply
