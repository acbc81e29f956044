"""The hosted page: views, HTML template and texts in each language.

May import what `web` may import.
"""

from __future__ import annotations
