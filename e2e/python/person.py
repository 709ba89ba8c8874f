"""A person at a browser without JavaScript: keeps cookies, fills in forms, presses buttons. By what they see on the pages."""

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

from support import ALICE, trusting


class Person:
    """A person with a browser of their own, who stays at one origin."""

    def __init__(self, home):
        self._home = home
        self._session = trusting(requests.Session())

    def pass_through(self, url):
        """Does what each page asks until the browser is sent elsewhere; where that is."""
        elsewhere, page = self._go("GET", url)
        for _ in range(8):
            if elsewhere:
                return elsewhere
            elsewhere, page = self._answer(page)
        raise AssertionError(f"no end of pages: {page.text}")

    def approve(self, url):
        """Does what each page asks until one asks no more."""
        elsewhere, page = self._go("GET", url)
        for _ in range(8):
            if not page.form:
                return
            elsewhere, page = self._answer(page)
        raise AssertionError(f"no end of pages: {page.text}")

    def _answer(self, page):
        if not page.form or "error" in page.ids:
            raise AssertionError(f"nothing to do here: {page.text}")
        data = dict(page.fields)
        data.update({name: value for name, value in ALICE.items() if name in data})
        button = page.buttons.get("allow") or page.buttons.get("submit")
        if button.get("name"):
            data[button["name"]] = button.get("value", "")
        return self._go("POST", urljoin(page.url, page.form.get("action") or page.url), data)

    def _go(self, method, url, data=None):
        for _ in range(20):
            if not url.startswith(self._home + "/"):
                return url, None
            answer = self._session.request(method, url, data=data, allow_redirects=False)
            if not answer.is_redirect:
                return None, _Page(url, answer.text)
            url, method, data = urljoin(url, answer.headers["location"]), "GET", None
        raise AssertionError(f"more than 20 redirects, the last one to {urlsplit(url)._replace(query='').geturl()}")


class _Page(HTMLParser):
    def __init__(self, url, text):
        super().__init__()
        self.url, self.text = url, text
        self.form, self.fields, self.buttons, self.ids = None, {}, {}, set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = {name: value or "" for name, value in attrs}
        self.ids.add(attributes.get("id"))
        if tag == "form":
            self.form = attributes
        elif tag == "input" and attributes.get("name"):
            self.fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "button":
            self.buttons[attributes.get("id")] = attributes
