"""docs/how-to/reverse-proxy.md as it stands: its fleet file, and its server for nginx."""

import json
import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "reverse-proxy.md"
NAME = "registry.example.com"
LIVE = f"/etc/letsencrypt/live/{NAME}"
# What Let's Encrypt would give, from an authority of the test's own.
CERTIFICATE = f"""
set -e
mkdir -p {LIVE} && cd {LIVE}
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 9 -subj /CN=test-ca \
    2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout privkey.pem -out request -subj /CN={NAME} 2>/dev/null
echo 'subjectAltName=DNS:{NAME}' >names
openssl x509 -req -in request -CA ca.crt -CAkey ca.key -CAcreateserial -days 9 -extfile names \
    -out fullchain.pem 2>/dev/null
cat ca.crt
"""


def block(kind):
    return re.search(rf"```{kind}\n(.*?)```", GUIDE.read_text(), re.DOTALL)[1]


@pytest.fixture(scope="module")
def twin(boot_for_module):
    return boot_for_module(f"reg1={NAME}")


def test_the_guide_as_it_stands(twin, write_fleet, regfleet, tmp_path):
    reg1 = twin.hosts["reg1"]
    install = "apt-get -q update && apt-get -q -y --no-install-recommends install nginx-light"
    assert reg1.run(install, timeout=600).returncode == 0
    (tmp_path / "ca.crt").write_text(f"{reg1.read(CERTIFICATE)}\n")
    reg1.run("cat >/etc/nginx/conf.d/registry.conf", stdin=block("nginx"))
    reg1.read("systemctl reload-or-restart nginx")

    text = block("toml").replace('version = 1\nname = "acme"\n', "")
    hosts = re.compile(r'hosts = \["(reg1|build\[01:20\])\.example\.com"\]')
    body, changed = hosts.subn("hosts = [$reg1]", text)
    assert changed == 2
    listen = 'listen = "127.0.0.1:5000"\n'
    body = body.replace(listen, f'{listen}image_archive = "$registry_tar"\n')
    smoke = "smoke = true\n"
    body = body.replace(smoke, f'{smoke}tls = {{ source = "files", ca = "ca.crt" }}\n')
    body += '\n[smoke]\nimage_archive = "$busybox_tar"\n'
    done = regfleet("apply", write_fleet(twin, body), "--yes", "--json", CI_PASSWORD="of-ci")
    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(done.stdout)["hosts"]["reg1"]["smoke"]
    assert {checks[f"public/{step}"] for step in ("push", "pull", "run")} == {"passed"}
