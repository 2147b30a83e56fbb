"""The gateways' common address (`gateway.vip`), and keepalived, which gives it to one. Pure.

VRRP version 3 (RFC 9568), unicast between the declared addresses of the gateways' hosts: no network
has to pass multicast, and what others send is dropped. Version 3 has no passwords, and those of
version 2 were sent in the clear (RFC 9568, 9). keepalived.conf(5) of keepalived 2.2 and later.

It is the same with IPv6: keepalived wants a link-local address before all others in its strict mode
alone (vrrp_complete_instance in keepalived/vrrp/vrrp.c of 2.2.7).

All have the same priority, so that the address stays where it is when a host comes back. One that
is about to be away for a moment lowers its own by a file (`Drain`). It keeps the address until
another one has it: a backup that hears of a lower priority than its own becomes the master (RFC
9568, 6.4.2, Preempt_Mode; keepalived.conf(5), "Track files").
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files

from regfleet.fleet.registries import Instance, Registry
from regfleet.gateway.places import INNER_PORT, Places
from regfleet.model.files import Directory, File
from regfleet.model.service import Probe, Service, UnitRun

PROGRAM = "/usr/sbin/keepalived"
PACKAGES = {"apt-get": ("keepalived",)}  # Debian and Ubuntu
UNIT = "keepalived"  # of the package; ours stands beside it
START, CHECK, CONFIGURATION = "start.sh", "check.sh", "keepalived.conf"
MARK = "drain"  # the file by which it is asked to pass the address on
_PRIORITY = 150
_HEARD = 0.5  # seconds between adverts: a host that is silent for three of them is gone
_PIDS = 64

_TEMPLATE = """\
# The common address of the gateways of {name}, written by regfleet: changes here are overwritten.
include {temporary}/interface.conf

global_defs {{
  router_id {router}
  vrrp_version 3
  vrrp_check_unicast_src
  enable_script_security
  script_user root
}}

# Without nginx the address goes elsewhere at once.
vrrp_script alive {{
  script "{home}/{check} {inner} {port} /alive"
  interval 1
  timeout 3
  fall 2
  rise 2
}}

# A gateway that reaches no registry leaves it to one that does; if none does, it stays.
vrrp_script serving {{
  script "{home}/{check} {inner} {port} /serving"
  interval 1
  timeout 3
  fall 2
  rise 2
  weight -100
}}

# A gateway that is about to be restarted leaves it to one that serves: `regfleet apply` writes 1.
track_file drained {{
  file "{temporary}/{mark}"
  weight -50
}}

vrrp_instance {router} {{
  state BACKUP
  interface $INTERFACE
  virtual_router_id {number}
  priority {priority}
  advert_int {heard}
  unicast_src_ip {own}
  unicast_peer {{
{peers}
  }}
  virtual_ipaddress {{
    {vip} dev $INTERFACE
  }}
  track_script {{
    alive
    serving
  }}
  track_file {{
    drained
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Vip:
    """What keepalived needs on a gateway's host."""

    home: str
    temporary: str
    files: tuple[File, ...]
    directories: tuple[Directory, ...]
    run: UnitRun


def of(registry: Registry, instance: Instance, places: Places, base: str) -> Vip | None:
    """What the common address needs on the host of an instance; None where there is none.

    Args:
        places: where the gateway there asks itself.
        base: the directory of all of regfleet's configuration.
    """
    if registry.gateway is None or not registry.gateway.vip:
        return None
    vip, host = registry.gateway.vip, instance.host
    home = f"{base}/{registry.name}.vip"
    temporary = f"/run/regfleet-{registry.name}.vip"
    others = [each.address for each in registry.fronts if each.name != host.name]
    text = _TEMPLATE.format(
        name=registry.name,
        router=f"regfleet-{registry.name}",
        home=home,
        temporary=temporary,
        check=CHECK,
        mark=MARK,
        inner=places.address,
        port=INNER_PORT,
        number=1 + hashlib.sha256(vip.encode()).digest()[0] % 255,
        priority=_PRIORITY,
        heard=_HEARD,
        own=host.address,
        peers="\n".join(f"    {each}" for each in others),
        vip=vip,
    )
    reason = f"registry.{registry.name}.gateway.vip"
    scripts = (
        File(
            f"{home}/{name}", files(__package__).joinpath(f"vip.{name}").read_bytes(), 0o700, reason
        )
        for name in (START, CHECK)
    )
    configuration = File(f"{home}/{CONFIGURATION}", text.encode(), 0o600, reason)
    run = UnitRun(
        command=("/bin/sh", f"{home}/{START}", host.address, temporary, configuration.path),
        packages=PACKAGES,
        brought=(PROGRAM,),
        otherwise="leave vip out",
        package_unit=UNIT,
        privileges=("NET_ADMIN", "NET_RAW", "NET_BROADCAST", "SETGID", "SETUID"),
        pids=_PIDS,
        temporary=temporary,
    )
    directories = (Directory(home, 0o700, reason, own=True),)
    return Vip(home, temporary, (configuration, *scripts), directories, run)


def service(fleet: str, registry: Registry, found: Vip, users: Service, front: Service) -> Service:
    """The service that moves the address.

    Args:
        users: the check of passwords, without which clients get no tokens.
        front: the gateway; at the common address one of them answers.
    """
    vip = registry.gateway.vip if registry.gateway else ""
    return Service(
        name=f"regfleet-{registry.name}.vip",
        run=found.run,
        probe=Probe(front.probe.kind, "/v2/", (200, 401)),
        address=vip.partition("/")[0],
        port=registry.port,
        depends=(users.name, front.name),
        drains=f"{found.temporary}/{MARK}",
        inputs=tuple(each.digest for each in found.files if each.path.endswith(".sh")),
        registry=registry.name,
        fleet=fleet,
        reason=f"registry.{registry.name}.gateway.vip",
        files=found.files,
        directories=found.directories,
        reloads=tuple(each.path for each in found.files if each.path.endswith(".conf")),
    )
