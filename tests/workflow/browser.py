"""A page in headless Chromium over the DevTools protocol: what it says on the console, asks for and looks like."""

import base64
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from urllib.request import urlopen

from websockets.sync.client import connect
from workflow_copy import HANGS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking",    "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip


class Page:
    """One open page; `events` are all that Chromium reported so far, oldest first."""

    def __init__(self, socket):
        self.socket, self.events, self._number = socket, [], 0

    def call(self, method, **params):
        """Send a command and wait for its result."""
        self._number += 1
        self.socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv(timeout=HANGS))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def js(self, expression):
        """The value of a JavaScript expression."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def resize(self, width, height, scheme="light"):
        """Show the page at a width in CSS pixels, light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, address):
        """Load an address and wait until it is there with all its images."""
        self.call("Page.navigate", url=address)
        while self.js("document.readyState") != "complete" or self.js("location.href") == "about:blank":
            time.sleep(0.05)

    def screenshot(self, path, whole=False):
        """Write what is seen (or the whole page) as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))

    def requests(self):
        """Addresses of all that the page asked for, data URIs left out."""
        asked = [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]
        return [address for address in asked if not address.startswith("data:")]

    def complaints(self):
        """What went to the console as error or warning, and exceptions that nobody caught."""
        said = [one["params"]["entry"]["text"] for one in self.events if one["method"] == "Log.entryAdded"]
        said += [str(one["params"]) for one in self.events if one["method"] == "Runtime.exceptionThrown"]
        return said + [
            str(one["params"]["args"]) for one in self.events
            if one["method"] == "Runtime.consoleAPICalled" and one["params"]["type"] in ("error", "warning")
        ]  # fmt: skip


@contextmanager
def browser(profile):
    """A page of a Chromium with an empty profile folder, which is ended with the block."""
    process = subprocess.Popen(
        [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        while not port_file.is_file() or not port_file.read_text().strip():
            assert process.poll() is None, "Chromium does not start"
            time.sleep(0.05)
        port = port_file.read_text().split()[0]
        pages = json.load(urlopen(f"http://127.0.0.1:{port}/json"))
        address = next(one["webSocketDebuggerUrl"] for one in pages if one["type"] == "page")
        with connect(address, max_size=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Network", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            yield page
    finally:
        process.terminate()
        process.wait(HANGS)
