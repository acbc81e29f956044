from __future__ import annotations

from otp_service.sms.gate import Gate


def test_a_gate_gives_no_more_places_than_it_has() -> None:
    gate = Gate(2)

    assert [gate.take() for _ in range(3)] == [True, True, False]
    gate.give_back()
    assert gate.take()


def test_what_an_elder_gate_counts_fills_places_too() -> None:
    """After a reload the threads that wait for a provider are those of both."""
    elder = Gate(3)
    assert elder.take()
    assert elder.take()
    young = Gate(3, elder)

    assert [young.take() for _ in range(2)] == [True, False]
    assert young.taken == 3
    elder.give_back()
    assert young.take()


def test_an_elder_gate_that_is_closed_and_empty_is_forgotten() -> None:
    """Otherwise every reload would make the next one slower."""
    elder = Gate(1)
    elder.take()
    young = Gate(1, elder)
    assert not elder.close(0)
    assert young.taken == 1
    elder.give_back()

    assert young.taken == 0
    assert young._elder is None


def test_an_elder_gate_that_may_still_give_places_is_not_forgotten() -> None:
    elder = Gate(1)
    young = Gate(1, elder)

    assert young.taken == 0
    assert elder.take()
    assert not young.take()
