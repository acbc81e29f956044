"""The widget `<otp-verify>`: a JavaScript module for login pages, and the view that serves it.

Imports what `web` may import.
"""

from __future__ import annotations
