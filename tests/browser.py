"""A headless Chromium that tests drive over a pipe, if one is installed."""

import base64
import fcntl
import json
import os
import shutil
import subprocess

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
_OPTIONS = "--headless --no-sandbox --disable-gpu --no-first-run --remote-debugging-pipe"


class Browser:
    """One page in a browser, which records its requests and what went wrong.

    Chromium's DevTools Protocol: JSON messages that end in a zero byte, over file descriptors 3
    and 4 of the browser.
    """

    def __init__(self, profile):
        reads, self._out = os.pipe()
        self._in, writes = os.pipe()

        def connect():
            # Copies with high numbers are not overwritten by each other.
            source, sink = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (reads, writes))
            os.dup2(source, 3)
            os.dup2(sink, 4)

        self._process = subprocess.Popen(
            [CHROMIUM, *_OPTIONS.split(), f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        self._buffer, self._n_sent, self._session = b"", 0, None
        self.events = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.send(f"{domain}.enable")
        self.send("Performance.enable", timeDomain="threadTicks")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.terminate()
        self._process.wait(10)
        os.close(self._in)
        os.close(self._out)

    def _receive(self):
        while b"\0" not in self._buffer:
            part = os.read(self._in, 1 << 20)
            if not part:
                raise ConnectionError("the browser has gone")
            self._buffer += part
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def send(self, method, **params):
        """Send a command, and return its result. Events meanwhile are kept."""
        self._n_sent += 1
        message = {"id": self._n_sent, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._receive()
            if reply.get("id") == self._n_sent:
                assert "error" not in reply, reply
                return reply["result"]
            self.events.append(reply)

    def open(self, url):
        """Load a page, and wait until it is complete."""
        self.events.clear()
        self.send("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def run(self, script):
        """Evaluate an expression in the page, and return its value."""
        reply = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def seconds(self):
        """Return the CPU time that the page has taken so far, whatever else the machine does."""
        metrics = self.send("Performance.getMetrics")["metrics"]
        return {metric["name"]: metric["value"] for metric in metrics}["TaskDuration"]

    def seconds_to_load(self):
        """Return the time on the clock from the request to the end of loading."""
        return self.run("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000

    def press(self, key):
        """Press and release a key."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        codes = {"Enter": 13, "Tab": 9}
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=codes.get(key, 0),
            )

    def look(self, width, *, scheme="light"):
        """Show the page in a window of this width on a light or dark screen."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.send(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )

    def screenshot(self):
        """Return a picture of the whole page as PNG."""
        reply = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(reply["data"])

    def of(self, method):
        """Return the parameters of all events of this name."""
        return [event["params"] for event in self.events if event["method"] == method]
