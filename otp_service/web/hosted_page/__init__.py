"""The hosted page: its views, its HTML and its texts in each language.

Imports what `web` may import.
"""

from __future__ import annotations
