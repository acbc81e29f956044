"""A client that was made, and used, before a fork: nobody gets the answer to somebody else's call."""

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
from client.test_calls import ANSWERS, APPROVED, ID, PHONE, REDEEMED, STANDING
from client.test_faults import self_signed
from support import scripted_service
from support.forked_children import in_forks
from support.scripted_service import Scripted, closes, proof_of, redeems, says

from otp_service.client import ApiError, OtpClient, OtpServiceError, OutcomeUnknown

SECRET_KEY = "sk_never_shown_anywhere"
CHILDREN = 2
CALLS = 20


def phone_of(number: int) -> str:
    return f"+86139{number:08d}"


def redeemed_phone(client: OtpClient, number: int) -> str:
    """Redeem the proof of the person *number*; return the phone that the client was told, or the error."""
    proof = proof_of(verification_id=f"{number:022d}", phone=phone_of(number))
    try:
        return client.redeem(proof, purpose="login").phone
    except OtpServiceError as error:
        return str(error)


def numbers_of(child: int) -> list[int]:
    return [child * 1000 + call for call in range(CALLS)]


def phones_of(client: OtpClient, child: int) -> list[str]:
    return [redeemed_phone(client, number) for number in numbers_of(child)]


def right(children: int) -> list[list[str]]:
    return [[phone_of(number) for number in numbers_of(child)] for child in range(1, children + 1)]


def report(pipe: Connection, client: OtpClient, child: int) -> None:
    pipe.send(phones_of(client, child))
    pipe.close()


def in_children(method: str, client: OtpClient, children: int = CHILDREN) -> list[list[str]]:
    """Have children of multiprocessing's *method* redeem at once with *client*."""
    context = multiprocessing.get_context(method)
    pipes, processes = [], []
    for child in range(1, children + 1):
        mine, theirs = context.Pipe(duplex=False)
        process = context.Process(target=report, args=(theirs, client, child))  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        pipes.append(mine)
        processes.append(process)
    told = [pipe.recv() for pipe in pipes]
    for pipe, process in zip(pipes, processes, strict=True):
        process.join(30)
        pipe.close()
        process.close()
    return told


@contextmanager
def used_client(service: Scripted) -> Iterator[OtpClient]:
    """A client that has been used once, so that it holds a connection."""
    service.always = redeems
    with OtpClient(service.url, SECRET_KEY, timeout=5) as client:
        assert redeemed_phone(client, 7) == phone_of(7)
        yield client


def test_forked_children_get_the_answers_to_their_own_calls(service: Scripted) -> None:
    with used_client(service) as client:
        assert in_forks(lambda child: phones_of(client, child)) == right(CHILDREN)
        assert redeemed_phone(client, 8) == phone_of(8)


def test_child_and_parent_call_at_once(service: Scripted) -> None:
    with used_client(service) as client:
        mine: list[str] = []
        thread = threading.Thread(target=lambda: mine.extend(phones_of(client, 9)))
        thread.start()
        theirs = in_forks(lambda child: phones_of(client, child))
        thread.join()

    assert theirs == right(CHILDREN)
    assert mine == [phone_of(number) for number in numbers_of(9)]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_get_the_answers_to_their_own_calls(
    service: Scripted, method: str
) -> None:
    with used_client(service) as client:
        assert in_children(method, client) == right(CHILDREN)


SHARED: list[OtpClient] = []


def phones_of_shared(child: int) -> list[str]:
    return phones_of(SHARED[0], child)


def test_a_fork_pool_gets_the_answers_to_its_own_calls(service: Scripted) -> None:
    """Its processes inherit the client, as a module's global."""
    with used_client(service) as client:
        SHARED[:] = [client]
        with multiprocessing.get_context("fork").Pool(3) as pool:
            jobs = [pool.apply_async(phones_of_shared, (child,)) for child in range(1, 7)]
            assert [job.get(30) for job in jobs] == right(6)
            pool.close()
            pool.join()


def test_threads_of_a_child_get_the_answers_to_their_own_calls(service: Scripted) -> None:
    def in_threads(child: int) -> list[list[str]]:
        told: dict[int, list[str]] = {}
        threads = [
            threading.Thread(target=lambda n=n: told.__setitem__(n, phones_of(client, child * 10 + n)))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [told[n] for n in range(4)]

    with used_client(service) as client:
        told = in_forks(in_threads)

    expected = [
        [[phone_of(number) for number in numbers_of(child * 10 + n)] for n in range(4)] for child in (1, 2)
    ]
    assert told == expected


def test_a_grandchild_gets_the_answers_to_its_own_calls(service: Scripted) -> None:
    with used_client(service) as client:
        told = in_forks(
            lambda child: [phones_of(client, child), *in_forks(lambda _: phones_of(client, 5), 1)]
        )

    for child, (own, grandchild) in enumerate(told, start=1):
        assert own == [phone_of(number) for number in numbers_of(child)]
        assert grandchild == [phone_of(number) for number in numbers_of(5)]


def test_a_child_leaves_the_connection_of_its_parent_open_over_tls(tmp_path: Path) -> None:
    """A child that said goodbye on the inherited TLS connection would end it for its parent."""
    certificate, key = self_signed(tmp_path)
    with scripted_service.serving(certificate, key) as service:
        service.always = redeems
        with OtpClient(service.url, SECRET_KEY, timeout=5, ca_bundle=str(certificate)) as client:
            assert redeemed_phone(client, 7) == phone_of(7)
            assert in_forks(lambda child: phones_of(client, child)) == right(CHILDREN)
            for end in (client.close, lambda: None):
                in_forks(lambda _, end=end: end())  # type: ignore[misc]
            assert redeemed_phone(client, 8) == phone_of(8)

    first, last = service.calls[0], service.calls[-1]
    assert first.peer == last.peer  # the same connection


def test_a_child_closes_its_copies_of_the_parents_connections(service: Scripted) -> None:
    """Or the service could not see when the parent ends them."""

    def sockets(_: int) -> list[int]:
        before = connections_to(service.port)
        redeemed_phone(client, 3)
        return [before, connections_to(service.port)]

    with used_client(service) as client:
        assert in_forks(sockets, 1) == [[1, 1]]  # the inherited one, then one of its own


def connections_to(port: int) -> int:
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names only
        try:
            inode = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
        except OSError:
            continue
        count += inode in _sockets_to(port)
    return count


def _sockets_to(port: int) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[2].endswith(f":{port:04X}")}


FORK_WHILE_THREADS_CALL = """
import os, sys, threading
from otp_service.client import OtpClient
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


def test_children_end_that_were_forked_while_threads_called(service: Scripted) -> None:
    """No lock of the client that another thread held stops them, not at their ordinary end either."""
    service.always = redeems
    program = FORK_WHILE_THREADS_CALL.format(tests=str(Path(__file__).parents[1]), url=service.url)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False
    )

    assert done.stdout.split() == ["0"] * 30, done.stderr


FORK_WITH_GREENLETS = """
from gevent import monkey
monkey.patch_all()
import json, os, sys
import gevent
from otp_service.client import OtpClient
sys.path[:0] = [{tests!r}]
from client.test_forks import phones_of

client = OtpClient({url!r}, "sk_x", timeout=5)
def begin(first):
    return [gevent.spawn(phones_of, client, first + n) for n in range(1, 5)]
def end(calls):
    gevent.joinall(calls)
    return [call.value for call in calls]
end(begin(0))  # four connections are idle now
under_way = begin(10) if {under_way} else []
gevent.sleep(0)
read, write = os.pipe()
pid = os.fork()
if pid == 0:
    told = end(begin(20))
    os.write(write, json.dumps(told).encode())
    os._exit(0)
os.close(write)
told = [end(under_way), end(begin(30))]
os.waitpid(pid, 0)
with open(read) as pipe:
    print(json.dumps([*told, json.load(pipe)]), flush=True)
"""


@pytest.mark.parametrize("under_way", [False, True], ids=["idle", "under way"])
def test_greenlets_of_two_processes_get_the_answers_to_their_own_calls(
    service: Scripted, *, under_way: bool
) -> None:
    """gevent goes on in the child with what was under way: those may fail, but get no other's answer."""
    service.always = redeems
    tests = str(Path(__file__).parents[1])
    program = FORK_WITH_GREENLETS.format(tests=tests, url=service.url, under_way=under_way)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    interrupted, parents, childs = json.loads(done.stdout)

    assert parents == right(34)[30:]
    assert childs == right(24)[20:]
    assert len(interrupted) == (4 if under_way else 0)
    for told, own in zip(interrupted, right(14)[10:], strict=False):
        assert {phone for phone in told if phone not in own and UNKNOWN not in phone} == set()
        assert [phone for phone in told if UNKNOWN not in phone] != []


UNKNOWN = "The OTP service gave no answer"


# ── an answer to another call ──

OTHER = "w" * 22
MIXED_UP: dict[str, tuple[Callable[[OtpClient], object], dict[str, Any]]] = {
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
    "redeem, a proof that says nothing": (lambda c: c.redeem("x.y.z", purpose="login"), REDEEMED),
    "redeem, no proof": (lambda c: c.redeem("", purpose="login"), REDEEMED),
    "redeem, a proof of a list": (lambda c: c.redeem("W10.y.z", purpose="login"), REDEEMED),
    "redeem, a proof for another purpose": (
        lambda c: c.redeem(proof_of(ID, PHONE, "signup"), purpose="login"),
        REDEEMED | {"purpose": "signup"},
    ),
    "verify": (lambda c: c.verify(PHONE, ID, "012345"), APPROVED | {"verification_id": OTHER}),
    "resend": (lambda c: c.resend(PHONE, ID), STANDING | {"verification_id": OTHER}),
    "request": (lambda c: c.request(PHONE, purpose="signup"), STANDING),
}


@pytest.mark.parametrize(("call", "answer"), MIXED_UP.values(), ids=MIXED_UP.keys())
def test_an_answer_to_another_call_leaves_the_outcome_unknown(
    service: Scripted, client: OtpClient, call: Callable[[OtpClient], object], answer: dict[str, Any]
) -> None:
    service.will(says(204), says(200, answer), says(204))
    client.cancel(PHONE, ID)
    with pytest.raises(OutcomeUnknown) as failure:
        call(client)
    client.cancel(PHONE, ID)

    assert failure.value.cause == "answer to another call"
    peers = [seen.peer for seen in service.calls]
    assert (peers[0] == peers[1], peers[1] == peers[2]) == (True, False)  # the connection was given up


@pytest.mark.parametrize(
    "answer",
    [says(204), says(200, APPROVED), scripted_service.problem(422, "wrong_code")],
    ids=["nothing", "good", "refusal"],
)
def test_an_answer_that_bears_the_id_of_another_call_is_not_taken(
    service: Scripted, client: OtpClient, answer: scripted_service.Answer
) -> None:
    """Even where it holds nothing else that could be compared."""
    service.will(says(204))
    client.cancel(PHONE, ID)
    other = service.calls[0].headers["X-Request-Id"]
    service.will(with_id(answer, other))
    with pytest.raises(OutcomeUnknown):
        client.cancel(PHONE, ID)


@pytest.mark.parametrize("told", ["", "req_abcdefgh000001", "7f1d0c6a9c7e4a3db1d5a6f0"], ids=repr)
def test_an_id_that_a_proxy_has_chosen_says_nothing(service: Scripted, client: OtpClient, told: str) -> None:
    service.will(with_id(says(204), told))
    client.cancel(PHONE, ID)


def test_a_refusal_that_bears_an_id_of_the_services_own_is_read(service: Scripted, client: OtpClient) -> None:
    """The service takes no id from a caller whose key it does not know."""
    service.will(with_id(scripted_service.problem(401, "unauthorized"), "req_abcdefgh000001"))

    with pytest.raises(ApiError) as refusal:
        client.cancel(PHONE, ID)

    assert refusal.value.code == "unauthorized"


def test_every_call_has_an_id_of_its_own(service: Scripted, client: OtpClient) -> None:
    service.will(closes, ANSWERS["/otp/status"], says(204))
    client.status(PHONE, ID)
    client.cancel(PHONE, ID)

    assert len({seen.headers["X-Request-Id"] for seen in service.calls}) == 3


@pytest.mark.parametrize("pasted", [f" {ID}", f"{ID}\u200b\n", f"{ID[:4]} {ID[4:]}"], ids=ascii)
def test_an_id_pasted_with_a_space_is_the_same_id(service: Scripted, client: OtpClient, pasted: str) -> None:
    service.will(ANSWERS["/otp/verify"])

    assert client.verify(PHONE, pasted, "012345").verification_id == ID


def with_id(answer: scripted_service.Answer, told: str) -> scripted_service.Answer:
    """Have *answer* bear the id *told*."""

    def answering(handler: scripted_service.Handler) -> None:
        send = handler.end_headers

        def end_headers() -> None:
            handler.send_header("X-Request-Id", told)
            send()

        handler.end_headers = end_headers  # type: ignore[method-assign]
        answer(handler)
        handler.end_headers = send  # type: ignore[method-assign]

    return answering
