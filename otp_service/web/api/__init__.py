"""The JSON API: endpoints, what they take and return, problems, CORS, the request log and OpenAPI.

Imports what `web` may import.
"""

from __future__ import annotations
