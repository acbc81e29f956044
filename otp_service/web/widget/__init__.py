"""The widget `<otp-verify>`: a JavaScript module for signup pages, and the view that serves it.

May import what `web` may import.
"""

from __future__ import annotations
