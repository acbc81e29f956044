"""The topology: a URL becomes the servers that it leads to. Touches nothing before the first command."""

from __future__ import annotations

from functools import partial
from typing import Any

from otp_service.store.cluster import ClusterServers
from otp_service.store.connect import client, endpoint_client, server_client
from otp_service.store.sentinel import SentinelServers
from otp_service.store.servers import Servers
from otp_service.store.terms import FileCredentials, Terms
from otp_service.store.url import Endpoint, Kind, RedisUrl, parse
from otp_service.store.wire import Wire


def reach(url: str, terms: Terms) -> Servers:
    """Return the servers that *url* leads to; nothing is sent to any before the first command.

    Raises:
        BadRedisUrl: *url* names no Redis, or sets what is not the URL's to set.
    """
    place = parse(url)
    if place.kind is Kind.SERVER:
        return Wire(client(place, terms))
    at = partial(_server, place, terms)
    if place.kind is Kind.CLUSTER:
        return ClusterServers(place.hosts, at)
    return SentinelServers(place.master, [_sentinel(host, place, terms) for host in place.hosts], at)


def _server(place: RedisUrl, terms: Terms, endpoint: Endpoint) -> Wire:
    return Wire(server_client(endpoint, place, terms))


def _sentinel(endpoint: Endpoint, place: RedisUrl, terms: Terms) -> Wire:
    login: dict[str, Any] = {}
    if terms.sentinel_password_file:
        login["credential_provider"] = FileCredentials(terms.sentinel_username, terms.sentinel_password_file)
    return Wire(endpoint_client(endpoint, terms, is_tls=place.is_tls, **login))
