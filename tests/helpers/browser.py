"""Debian's chromium without a window, driven through its debugging pipe with nothing but the standard library."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


_LAUNCHER = """
import os, sys
ends = [os.dup(os.dup(int(end))) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find_browser() -> str | None:
    """The browser's path; None where it is not installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    """One browser process; messages are JSON ended by a zero byte, commands on its descriptor 3, answers on 4."""

    def __init__(self, executable: str, profile: Path) -> None:
        to_read, self._send = os.pipe()
        self._receive, to_write = os.pipe()
        command = [sys.executable, "-c", _LAUNCHER, str(to_read), str(to_write)]
        self._process = subprocess.Popen(
            [*command, executable, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def close(self) -> None:
        """End the browser."""
        os.close(self._send)
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._receive)

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """The result of a command; AssertionError for an error or no answer within 60 s. Events are kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        os.write(self._send, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        until = time.monotonic() + 60
        while time.monotonic() < until:
            answer = self._next(until)
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer.get('error')}"
                return answer["result"]
            self.events.append(answer)
        raise AssertionError(f"chromium did not answer {method}")

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._receive], [], [], max(0.0, until - time.monotonic()))
            assert ready, "chromium is silent"
            read = os.read(self._receive, 1 << 20)
            assert read, "chromium ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer

    def open(self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False) -> Tab:
        """The page of a file, loaded, in a tab of its own."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.call("Page.navigate", url=page.absolute().as_uri())
        tab.wait("document.readyState === 'complete' && location.protocol === 'file:'")
        return tab


class Tab:
    """One page in the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command on this page."""
        return self._browser.call(method, self._session, **params)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; AssertionError where it throws."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until the expression is true; AssertionError after 60 s."""
        until = time.monotonic() + 60
        while not self.run(condition):
            assert time.monotonic() < until, f"never true: {condition}"
            time.sleep(0.02)

    def key(self, name: str) -> None:
        """Press and let go of a key."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name)

    def click(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    @property
    def complaints(self) -> list[str]:
        """Errors and warnings on the console, exceptions, and violations of the page's policy."""
        found = []
        for event in self._own("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"):
            params = event["params"]
            level = params.get("entry", params).get("level", params.get("type", "error"))
            if level in ("error", "warning", "assert"):
                found.append(json.dumps(params)[:400])
        return found

    @property
    def requests(self) -> list[str]:
        """Addresses that were asked for, but for the page itself and data within it."""
        urls = [event["params"]["request"]["url"] for event in self._own("Network.requestWillBeSent")]
        return [url for url in urls if not url.startswith(("data:", "file:", "about:"))]

    @property
    def dialogs(self) -> int:
        """How many alerts and the like were opened."""
        return len(self._own("Page.javascriptDialogOpening"))

    def _own(self, *methods: str) -> list[dict[str, Any]]:
        self.run("1")  # whatever was said before the answer has been read then
        return [e for e in self._browser.events if e.get("sessionId") == self._session and e["method"] in methods]
