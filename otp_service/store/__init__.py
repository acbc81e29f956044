"""The store: the service's memory. The only room that touches Redis."""

from __future__ import annotations
