"""The docs page: the OpenAPI document, rendered by Redoc in the browser.

`redoc.standalone.js` comes from the npm package redoc 2.5.4; `make redoc` fetches it again. Its license is in
`redoc.LICENSE.txt`, and those of the libraries in it are in `redoc.standalone.js.LICENSE.txt`. Redoc 3 is not
used, because it reports usage to its vendor by default.
"""

from __future__ import annotations
