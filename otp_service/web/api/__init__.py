"""The JSON API: endpoints, schemas, problem documents, CORS, the request log and OpenAPI.

May import `services` and `domain`, Flask and pydantic.
"""

from __future__ import annotations
