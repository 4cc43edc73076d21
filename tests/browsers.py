"""The browser of the tests: Debian's, and asking nobody for anything but the page."""

import shutil

#: Where it is; None where it is not installed.
CHROMIUM = shutil.which("chromium")

FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
