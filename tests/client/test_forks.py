"""A client that was created and used before a fork: each process gets the responses to its own calls."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from client.test_calls import APPROVED, ID, PENDING, PHONE, REDEEMED, RESPONSES
from client.test_faults import self_signed
from support import scripted_service
from support.forked_children import in_forks
from support.scripted_service import ScriptedService, closes, proof_of, redeems, says

from otp_service_client import ApiError, OtpClient, OtpServiceError, OutcomeUnknown

SECRET_KEY = "sk_never_shown_anywhere"
CHILDREN = 2
CALLS = 20


def phone_of(number: int) -> str:
    return f"+86139{number:08d}"


def redeemed_phone(client: OtpClient, number: int) -> str:
    """Redeem proof *number*, and return the phone in the response, or the error."""
    proof = proof_of(verification_id=f"{number:022d}", phone=phone_of(number))
    try:
        return client.redeem(proof, purpose="login").phone
    except OtpServiceError as error:
        return str(error)


def numbers_of(child: int) -> list[int]:
    return [child * 1000 + call for call in range(CALLS)]


def phones_of(client: OtpClient, child: int) -> list[str]:
    return [redeemed_phone(client, number) for number in numbers_of(child)]


def expected_phones(children: int) -> list[list[str]]:
    return [[phone_of(number) for number in numbers_of(child)] for child in range(1, children + 1)]


def report(pipe: Connection, client: OtpClient, child: int) -> None:
    pipe.send(phones_of(client, child))
    pipe.close()


def in_children(method: str, client: OtpClient, children: int = CHILDREN) -> list[list[str]]:
    """Redeem proofs with *client* in several processes at once, started by *method*."""
    context = multiprocessing.get_context(method)
    pipes, processes = [], []
    for child in range(1, children + 1):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=report, args=(theirs, client, child))  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        pipes.append(mine)
        processes.append(process)
    received = [pipe.recv() for pipe in pipes]
    for pipe, process in zip(pipes, processes, strict=True):
        process.join(30)
        pipe.close()
        process.close()
    return received


@contextmanager
def used_client(service: ScriptedService) -> Iterator[OtpClient]:
    """A client that has been used once, so that it has an open connection."""
    service.always = redeems
    with OtpClient(service.url, SECRET_KEY, timeout=5) as client:
        assert redeemed_phone(client, 7) == phone_of(7)
        yield client


def test_forked_children_get_the_responses_to_their_own_calls(service: ScriptedService) -> None:
    with used_client(service) as client:
        assert in_forks(lambda child: phones_of(client, child)) == expected_phones(CHILDREN)
        assert redeemed_phone(client, 8) == phone_of(8)


def test_child_and_parent_call_at_once(service: ScriptedService) -> None:
    with used_client(service) as client:
        mine: list[str] = []
        thread = threading.Thread(target=lambda: mine.extend(phones_of(client, 9)))
        thread.start()
        theirs = in_forks(lambda child: phones_of(client, child))
        thread.join()

    assert theirs == expected_phones(CHILDREN)
    assert mine == [phone_of(number) for number in numbers_of(9)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_get_the_responses_to_their_own_calls(
    service: ScriptedService, method: str
) -> None:
    with used_client(service) as client:
        assert in_children(method, client) == expected_phones(CHILDREN)


SHARED: list[OtpClient] = []


def phones_of_shared(child: int) -> list[str]:
    return phones_of(SHARED[0], child)


def test_fork_pool_gets_the_responses_to_its_own_calls(service: ScriptedService) -> None:
    """The pool's processes inherit the client as a global variable."""
    with used_client(service) as client:
        SHARED[:] = [client]
        with multiprocessing.get_context("fork").Pool(3) as pool:
            jobs = [pool.apply_async(phones_of_shared, (child,)) for child in range(1, 7)]
            assert [job.get(30) for job in jobs] == expected_phones(6)
            pool.close()
            pool.join()


def test_threads_of_a_child_get_the_responses_to_their_own_calls(service: ScriptedService) -> None:
    def in_threads(child: int) -> list[list[str]]:
        received: dict[int, list[str]] = {}
        threads = [
            threading.Thread(target=lambda n=n: received.__setitem__(n, phones_of(client, child * 10 + n)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [received[n] for n in range(4)]

    with used_client(service) as client:
        received = in_forks(in_threads)

    expected = [
        [[phone_of(number) for number in numbers_of(child * 10 + n)] for n in range(4)] for child in (1, 2)
    ]
    assert received == expected


def test_grandchild_gets_the_responses_to_its_own_calls(service: ScriptedService) -> None:
    with used_client(service) as client:
        received = in_forks(
            lambda child: [phones_of(client, child), *in_forks(lambda _: phones_of(client, 5), 1)]
        )

    for child, (own, grandchild) in enumerate(received, start=1):
        assert own == [phone_of(number) for number in numbers_of(child)]
        assert grandchild == [phone_of(number) for number in numbers_of(5)]


def test_child_leaves_the_tls_connection_of_its_parent_open(tmp_path: Path) -> None:
    """A child that sent a TLS close alert on the inherited connection would end it for its parent."""
    certificate, key = self_signed(tmp_path)
    with scripted_service.serving(certificate, key) as service:
        service.always = redeems
        with OtpClient(service.url, SECRET_KEY, timeout=5, ca_bundle=str(certificate)) as client:
            assert redeemed_phone(client, 7) == phone_of(7)
            assert in_forks(lambda child: phones_of(client, child)) == expected_phones(CHILDREN)
            for end in (client.close, lambda: None):
                in_forks(lambda _, end=end: end())  # type: ignore[misc]
            assert redeemed_phone(client, 8) == phone_of(8)

    first, last = service.calls[0], service.calls[-1]
    assert first.peer == last.peer  # the same connection


def test_child_closes_its_copies_of_the_parents_connections(service: ScriptedService) -> None:
    """Otherwise the service would not notice that the parent has closed them."""

    def sockets(_: int) -> list[int]:
        before = connections_to(service.port)
        redeemed_phone(client, 3)
        return [before, connections_to(service.port)]

    with used_client(service) as client:
        assert in_forks(sockets, 1) == [[1, 1]]  # the inherited one, then one of its own


def connections_to(port: int) -> int:
    count, sockets = 0, _sockets_to(port)  # read once: the table is long on a busy machine
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        try:
            inode = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
        except OSError:
            continue
        count += inode in sockets
    return count


def _sockets_to(port: int) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}


FORK_WHILE_THREADS_CALL = """
import os, sys, threading
from otp_service_client import OtpClient
sys.path[:0] = [{tests!r}]
from client.test_forks import redeemed_phone, phone_of

client = OtpClient({url!r}, "sk_x", timeout=5)
stop = threading.Event()
def call(number):
    while not stop.is_set():
        redeemed_phone(client, number)
threads = [threading.Thread(target=call, args=(n,)) for n in range(4)]
for thread in threads:
    thread.start()
for number in range(100, 130):
    pid = os.fork()
    if pid == 0:
        sys.exit(0 if redeemed_phone(client, number) == phone_of(number) else 1)
    print(os.waitpid(pid, 0)[1], flush=True)
    if number == 129:
        stop.set()
"""


def test_children_forked_during_calls_of_other_threads_end(service: ScriptedService) -> None:
    """No lock that another thread held during the fork blocks a child, not even at its exit."""
    service.always = redeems
    program = FORK_WHILE_THREADS_CALL.format(tests=str(Path(__file__).parents[1]), url=service.url)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert result.stdout.split() == ["0"] * 30, result.stderr


FORK_WITH_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import json, os, sys
import gevent
from otp_service_client import OtpClient
sys.path[:0] = [{tests!r}]
from client.test_forks import phones_of

client = OtpClient({url!r}, "sk_x", timeout=5)
def begin(first):
    return [gevent.spawn(phones_of, client, first + n) for n in range(1, 5)]
def end(calls):
    gevent.joinall(calls)
    return [call.value for call in calls]
end(begin(0))  # four connections are idle now
in_flight = begin(10) if {in_flight} else []
gevent.sleep(0)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    received = end(begin(20))
    os.write(write, json.dumps(received).encode())
    os._exit(0)
os.close(write)
received = [end(in_flight), end(begin(30))]
os.waitpid(pid, 0)
with open(read) as pipe:
    print(json.dumps([*received, json.load(pipe)]), flush=True)
"""


@pytest.mark.parametrize("in_flight", [False, True], ids=["idle", "in flight"])
def test_greenlets_of_two_processes_get_the_responses_to_their_own_calls(
    service: ScriptedService, *, in_flight: bool
) -> None:
    """gevent continues pending calls in the child. They may fail, but get no response to another call."""
    service.always = redeems
    tests = str(Path(__file__).parents[1])
    program = FORK_WITH_GREENLETS.format(tests=tests, url=service.url, in_flight=in_flight)
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    interrupted, parents, childs = json.loads(result.stdout)

    assert parents == expected_phones(34)[30:]
    assert childs == expected_phones(24)[20:]
    assert len(interrupted) == (4 if in_flight else 0)
    for received, own in zip(interrupted, expected_phones(14)[10:], strict=False):
        assert {phone for phone in received if phone not in own and UNKNOWN not in phone} == set()
        assert [phone for phone in received if UNKNOWN not in phone] != []


UNKNOWN = "There was no valid response from the OTP service"


# ── responses to other calls ──

OTHER = "w" * 22
MISMATCHES: dict[str, tuple[Callable[[OtpClient], object], dict[str, Any]]] = {
    "redeem, another verification": (
        lambda c: c.redeem(proof_of(ID, PHONE), purpose="login"),
        REDEEMED | {"verification_id": OTHER},
    ),
    "redeem, another phone": (
        lambda c: c.redeem(proof_of(ID, PHONE), purpose="login"),
        REDEEMED | {"phone": "+8613900139000"},
    ),
    "redeem, another client": (
        lambda c: c.redeem(proof_of(ID, PHONE), purpose="login"),
        REDEEMED | {"client": "mall"},
    ),
    "redeem, another purpose": (
        lambda c: c.redeem(proof_of(ID, PHONE), purpose="login"),
        REDEEMED | {"purpose": "signup"},
    ),
    "redeem, unparsable proof": (lambda c: c.redeem("x.y.z", purpose="login"), REDEEMED),
    "redeem, empty proof": (lambda c: c.redeem("", purpose="login"), REDEEMED),
    "redeem, proof with a list": (lambda c: c.redeem("W10.y.z", purpose="login"), REDEEMED),
    "redeem, proof for another purpose": (
        lambda c: c.redeem(proof_of(ID, PHONE, "signup"), purpose="login"),
        REDEEMED | {"purpose": "signup"},
    ),
    "verify": (lambda c: c.verify(PHONE, ID, "012345"), APPROVED | {"verification_id": OTHER}),
    "resend": (lambda c: c.resend(PHONE, ID), PENDING | {"verification_id": OTHER}),
    "request": (lambda c: c.request(PHONE, purpose="signup"), PENDING),
}


@pytest.mark.parametrize(("call", "answer"), MISMATCHES.values(), ids=MISMATCHES.keys())
def test_response_to_another_call_leaves_the_outcome_unknown(
    service: ScriptedService, client: OtpClient, call: Callable[[OtpClient], object], answer: dict[str, Any]
) -> None:
    service.will(says(204), says(200, answer), says(204))
    client.cancel(PHONE, ID)
    with pytest.raises(OutcomeUnknown) as failure:
        call(client)
    client.cancel(PHONE, ID)

    assert failure.value.cause == "answer to another call"
    peers = [seen.peer for seen in service.calls]
    assert (peers[0] == peers[1], peers[1] == peers[2]) == (True, False)  # the connection was dropped


@pytest.mark.parametrize(
    "answer",
    [says(204), says(200, APPROVED), scripted_service.problem(422, "wrong_code")],
    ids=["nothing", "good", "refusal"],
)
def test_response_with_the_id_of_another_call_is_rejected(
    service: ScriptedService, client: OtpClient, answer: scripted_service.Answer
) -> None:
    """The id is checked even if the response has nothing else to compare."""
    service.will(says(204))
    client.cancel(PHONE, ID)
    other = service.calls[0].headers["X-Request-Id"]
    service.will(with_id(answer, other))
    with pytest.raises(OutcomeUnknown):
        client.cancel(PHONE, ID)


@pytest.mark.parametrize("received", ["", "req_abcdefgh000001", "7f1d0c6a9c7e4a3db1d5a6f0"], ids=repr)
def test_id_that_a_proxy_has_set_is_ignored(
    service: ScriptedService, client: OtpClient, received: str
) -> None:
    service.will(with_id(says(204), received))
    client.cancel(PHONE, ID)


def test_error_with_an_id_of_the_service_is_read(service: ScriptedService, client: OtpClient) -> None:
    """The service ignores the id of a caller whose key it does not know."""
    service.will(with_id(scripted_service.problem(401, "unauthorized"), "req_abcdefgh000001"))

    with pytest.raises(ApiError) as refusal:
        client.cancel(PHONE, ID)

    assert refusal.value.code == "unauthorized"


def test_every_call_has_its_own_id(service: ScriptedService, client: OtpClient) -> None:
    service.will(closes, RESPONSES["/otp/status"], says(204))
    client.status(PHONE, ID)
    client.cancel(PHONE, ID)

    assert len({seen.headers["X-Request-Id"] for seen in service.calls}) == 3


@pytest.mark.parametrize("pasted", [f" {ID}", f"{ID}\u200b\n", f"{ID[:4]} {ID[4:]}"], ids=ascii)
def test_pasted_id_with_spaces_is_accepted(service: ScriptedService, client: OtpClient, pasted: str) -> None:
    service.will(RESPONSES["/otp/verify"])

    assert client.verify(PHONE, pasted, "012345").verification_id == ID


def with_id(answer: scripted_service.Answer, received: str) -> scripted_service.Answer:
    """Return *answer* with the header `X-Request-Id`."""

    def answering(handler: scripted_service.Handler) -> None:
        send = handler.end_headers

        def end_headers() -> None:
            handler.send_header("X-Request-Id", received)
            send()

        handler.end_headers = end_headers  # type: ignore[method-assign]
        answer(handler)
        handler.end_headers = send  # type: ignore[method-assign]

    return answering
