"""Headless Chromium over its DevTools pipe: no driver, no port, no library.

`--remote-debugging-pipe`: JSON messages ended by a zero byte, in on file descriptor 3, out on 4
(https://chromedevtools.github.io/devtools-protocol/).
"""

import base64
import json
import os
import select
import shutil
import subprocess
from contextlib import contextmanager

PROGRAM = shutil.which("chromium")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--remote-debugging-pipe",
)
PATIENCE = 60  # seconds for one answer
KEYS = {"Enter": "\r", "Tab": "", "ArrowRight": "", "ArrowLeft": ""}
CODES = {"Enter": 13, "Tab": 9, "ArrowLeft": 37, "ArrowRight": 39}


@contextmanager
def chromium(profile):
    """A browser with one empty tab; `profile` is a directory of its own."""
    to_browser, ours = os.pipe()
    from_browser, browser_out = os.pipe()
    # Shells put the pipes where Chromium looks for them, and nothing else of ours goes with it.
    command = f'exec "$0" "$@" 3<&{to_browser} 4>&{browser_out}'
    process = subprocess.Popen(
        ["bash", "-c", command, PROGRAM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        pass_fds=(to_browser, browser_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_browser)
    os.close(browser_out)
    try:
        yield Tab(ours, from_browser)
    finally:
        os.close(ours)  # Chromium goes when its pipe does
        os.close(from_browser)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Tab:
    """The browser's tab.

    Attributes:
        complaints: what the console, uncaught exceptions and the log have said.
        requests: every address that was asked for.
    """

    def __init__(self, write_to, read_from):
        self._out, self._in = write_to, read_from
        self._number, self._buffer, self._session = 0, b"", None
        self.complaints, self.requests, self._loaded = [], [], False
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        """One DevTools command, its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._out, rest) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def open(self, path, width=1280, height=900, *, dark=False, media="screen"):
        """Load a file afresh."""
        self.emulate(width, height, dark=dark, media=media)
        for address in ("about:blank", path.as_uri()):
            self.complaints, self.requests, self._loaded = [], [], False
            self.call("Page.navigate", url=address)
            while not self._loaded:
                self._read()

    def emulate(self, width=1280, height=900, *, dark=False, media="screen"):
        """Another screen, or paper."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])

    def run(self, expression):
        """Evaluate JavaScript (promises awaited), its value."""
        done = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def click(self, selector):
        """Click into the middle of an element with the mouse."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def type(self, text):
        """Type text into what has the focus."""
        for char in text:
            self.call("Input.dispatchKeyEvent", type="char", text=char)
        self.settle()

    def press(self, key):
        """Press a key that is no letter."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": CODES[key]}
        if KEYS[key]:
            about["text"] = KEYS[key]
        self.call("Input.dispatchKeyEvent", type="keyDown", **about)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)
        self.settle()

    def settle(self):
        """Wait until the page has taken up what was typed, and painted."""
        self.run(
            "new Promise(done => setTimeout(() => requestAnimationFrame("
            "() => requestAnimationFrame(done)), 120))"
        )

    def screenshot(self, path, *, whole=False):
        """What is to be seen, or the whole page, as a PNG file."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _read(self):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            assert ready, "Chromium does not answer"
            chunk = os.read(self._in, 1 << 20)
            assert chunk, "Chromium has gone"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(line)
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self.requests.append(parameters["request"]["url"])
        elif method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(parameters)
        return message
