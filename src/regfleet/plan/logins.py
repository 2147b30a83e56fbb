"""Plan the logins of a host's accounts at registries."""

from __future__ import annotations

from regfleet.engines.interface import Engine
from regfleet.errors import HostError, UnreadLoginError
from regfleet.look.request import OBSTACLE, login_digest
from regfleet.model.desired import DesiredHost
from regfleet.model.observed import ObservedHost
from regfleet.model.plan import Change, LogIn, LogOut
from regfleet.model.resource import login_resource
from regfleet.plan.part import PlanPart, Shared, login_key
from regfleet.record import Owned


def logins_to_change(
    want: DesiredHost,
    seen: ObservedHost,
    owned: Owned,
    shared: Shared,
    salt: str,
    *,
    engine: Engine,
) -> PlanPart:
    """Log in where a login is missing or has another password; log out where it is undeclared.

    Args:
        salt: the salt of the digests in `seen.logins`.
        engine: the engine whose command logs out.

    Raises:
        HostError: the account does not exist, or its logins cannot be read.
    """
    part = PlanPart()
    recorded = {login_key(login): login.digest for login in owned.logins}
    for login in want.logins:
        key = login_key(login)
        found = seen.logins.get(key, "")
        if found == "no-account":
            raise HostError(
                want.name,
                f"the account {login.account} does not exist on the host",
                f"create the account, or remove it from {login.reason}",
            )
        if found.startswith(OBSTACLE):
            raise UnreadLoginError(
                want.name,
                f"cannot read the login of {login.account} at {login.endpoint}: "
                f"{found.removeprefix(OBSTACLE)}",
                f"repair that file as {login.account}, or move it away, then run this again",
            )
        if found == "helper":  # a credential helper hides it: compare with the recorded login
            found = recorded.get(key, "")
        if found == login_digest(login, salt):
            continue
        change = Change(
            login_resource(login.account, login.endpoint),
            "update" if found else "create",
            login.reason,
        )
        part.add(change, LogIn(login))
    wanted = {login_key(login) for login in want.logins} | shared.logins
    for account, endpoint in recorded:
        if (account, endpoint) not in wanted:
            change = Change(login_resource(account, endpoint), "delete", want.why_gone)
            part.add(change, LogOut(account, endpoint, engine.shell, engine.login_file))
    return part
