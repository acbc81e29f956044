"""Delivery reports and replies, which an account reads from MNS queues or receives at its own URLs.

`reports` creates them, `queue` and the `mns_*` modules simulate the queues, and `http_posting` posts them.
"""
