// Renders the OpenAPI document with Redoc.

const root = document.getElementById("redoc");

// Redoc's markup has two accessibility faults: its headings skip levels, and the labels of its menu items do not
// contain the visible method. Redoc renders parts of the page on demand, so each change is checked.
function fixAccessibility() {
  for (const heading of root.querySelectorAll("h5:not([aria-level])")) heading.setAttribute("aria-level", "3");
  for (const item of root.querySelectorAll("[role=menuitem][aria-label]")) item.removeAttribute("aria-label");
}

new MutationObserver(fixAccessibility).observe(root, { childList: true, subtree: true });

// The search would need a worker from a blob: URL, which the Content-Security-Policy does not allow.
Redoc.init("openapi.json", { disableSearch: true, nativeScrollbars: true, pathInMiddlePanel: true }, root);
