"""How long a registry answers nobody, measured from outside its host."""

import threading
import time

from urllib3 import PoolManager
from urllib3.exceptions import HTTPError


class Absence:
    """The longest time without an answer while `with` lasts: seconds, asked every 20 ms."""

    def __init__(self, host, port, scheme="https"):
        self.url, self.longest, self._stop = f"{scheme}://{host.address}:{port}/v2/", 0.0, False

    def _ask(self):
        pool = PoolManager(cert_reqs="CERT_NONE", timeout=1, retries=False)
        seen = time.monotonic()
        while not self._stop:
            try:
                if pool.request("GET", self.url).status in (200, 401):
                    now = time.monotonic()
                    self.longest, seen = max(self.longest, now - seen), now
            except HTTPError:
                pool.clear()
            time.sleep(0.02)

    def __enter__(self):
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop = True
        self._thread.join()
