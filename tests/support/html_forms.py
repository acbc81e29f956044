"""HTML pages as a browser without scripts sees them: forms, fields and texts."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class HtmlForm:
    """One form: its URL, its hidden and visible fields, and its buttons."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class HtmlPage(HTMLParser):
    """The forms, tags, title and alert of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[HtmlForm] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.alert = ""
        self.title = ""
        self._open_element = ""
        self.feed(text)

    def form(self, action: str) -> HtmlForm:
        """Return the form with the button for *action*."""
        return next(form for form in self.forms if ("wish", action) in form.buttons)

    def has(self, action: str) -> bool:
        return any(("wish", action) in form.buttons for form in self.forms)

    def attributes(self, tag: str, **wanted: str) -> dict[str, str]:
        """Return the attributes of the first *tag* that has all of the *wanted* attributes."""
        return next(
            attributes
            for name, attributes in self.tags
            if name == tag and wanted.items() <= attributes.items()
        )

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag == "form":
            self.forms.append(HtmlForm(attributes.get("action", "")))
        if tag == "input" and self.forms:
            self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        if tag == "button" and self.forms:
            self.forms[-1].buttons.append((attributes.get("name", ""), attributes.get("value", "")))
        if attributes.get("role") == "alert" and "hidden" not in attributes:
            self._open_element = "alert"
        if tag == "title":
            self._open_element = "title"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "title"):
            self._open_element = ""

    def handle_data(self, data: str) -> None:
        if self._open_element == "alert":
            self.alert += data
        if self._open_element == "title":
            self.title += data
