"""Real HTTP proxies on a test host: tinyproxy, one for each port."""

import pytest

_CONFIGURATION = """
User root
Group root
Port {port}
Listen 0.0.0.0
Timeout 600
LogFile "/var/log/{port}.log"
PidFile "/run/tinyproxy-{port}.pid"
LogLevel Connect
MaxClients 100
"""


def install(host):
    """Have the distribution's; skips where that cannot be had."""
    done = host.run("apt-get -qq update && apt-get -qq -y install tinyproxy")
    if done.returncode != 0:
        pytest.skip(f"no tinyproxy: {done.stderr[-200:]}")
    host.read("systemctl disable --now tinyproxy 2>/dev/null || :")


def serve(host, port, login=""):
    """Start one; `login` is its user and password, with a space between."""
    text = _CONFIGURATION.format(port=port) + (f"BasicAuth {login}\n" if login else "")
    host.run(f"cat >/root/{port}.conf", stdin=text)
    start(host, port)


def start(host, port):
    """Start one that was stopped."""
    host.read(f"tinyproxy -c /root/{port}.conf")


def stop(host, port):
    """Stop one, and wait until its port is free."""
    host.read(
        f"pid=$(cat /run/tinyproxy-{port}.pid); kill $pid;"
        " while [ -d /proc/$pid ]; do sleep 0.1; done"
    )


def asked(host, port):
    """Its log: a line for each request."""
    return host.read(f"grep -h 'Request' /var/log/{port}.log || :")
