"""Who gets what through a real gateway, by tokens and by passwords, and what is said otherwise."""

import base64
import hashlib
import json
import re

import pytest
from gateway_stand import PASSWORDS

from regfleet import roles
from regfleet.fleet.registries import Member, Project

MOUNT = "/v2/{to}/blobs/uploads/?mount={digest}&from={source}"
MEMBERS = ("root", "alice", "bob", "carol", "dave")
# Who may pull, push and delete in a repository, "" is nobody.
MAY = {
    "team-a/app": {"root": "all", "alice": "push", "bob": "pull", "carol": "all"},
    "team-a": {"root": "all", "alice": "push", "bob": "pull", "carol": "all"},
    "team-a/secret": {"root": "all", "carol": "all"},
    "team-a/secret/deep": {"root": "all", "carol": "all"},
    "team-b/app": {"root": "all", "dave": "push"},
    "open/app": {
        "root": "all", "alice": "push", "bob": "pull", "carol": "pull", "dave": "pull", "": "pull",
    },
    "nobodys": {"root": "all"},
    "team-ab/app": {"root": "all"},
}  # fmt: skip
ACTIONS = {"": [], "pull": ["pull"], "push": ["pull", "push"], "all": ["pull", "push", "delete"]}


def access(token):
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return {each["name"]: each["actions"] for each in claims["access"]}


def blob(repository):
    return f"sha256:{hashlib.sha256(f'{repository}:1'.encode()).hexdigest()}"


@pytest.mark.parametrize("user", [*MEMBERS, ""])
@pytest.mark.parametrize("how", ["GET", "POST"])
def test_a_token_has_what_one_may_do_and_no_more(stand, user, how):
    if how == "GET":
        scopes = [f"repository:{name}:pull,push,delete" for name in MAY]
        token = stand.token(*scopes, user=user or None)
    elif user:
        token = granted(stand, user, " ".join(f"repository:{name}:*" for name in MAY)).json["token"]
    else:
        return
    expected = {name: ACTIONS[may.get(user, "")] for name, may in MAY.items()}
    assert access(token) == {name: actions for name, actions in expected.items() if actions}


def test_the_rules_are_those_of_regfleet_who(stand):
    """One rule, written twice: here as the gateway's script has it."""
    names = (*MAY, "open", "open/a/b", "Open/app", "team-a/", "/team-a", "a..b", "team-a/secretx")
    for user in (*MEMBERS, ""):
        found = access(stand.token(*(f"repository:{name}:*" for name in names), user=user or None))
        for name in names:
            may = roles.rights(stand.declared, user or None, name)
            assert set(found.get(name, ())) == may, (user, name)


def granted(stand, user, scope, password=None, **fields):
    form = {
        "grant_type": "password",
        "service": "x",
        "client_id": "test",
        "username": user,
        "password": PASSWORDS[user] if password is None else password,
        "scope": scope,
        **fields,
    }
    body = "&".join(f"{key}={value}" for key, value in form.items())
    return stand.ask(
        "POST", "/auth/token", body=body, Content_Type="application/x-www-form-urlencoded"
    )


def test_an_answer_to_post_says_its_scope(stand):
    answer = granted(stand, "bob", "repository:team-a/app:pull,push")
    assert answer.status == 200
    assert answer.json["scope"] == "repository:team-a/app:pull"
    assert answer.json["access_token"] == answer.json["token"]
    assert answer.json["expires_in"] == 240
    assert answer.headers["Cache-Control"] == "no-store"


def test_wrong_passwords_and_forms_at_the_token_service(stand):
    answer = stand.ask("GET", "/auth/token", user="bob", password="wrong")
    assert answer.status == 401
    assert answer.said == "incorrect username or password"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    answer = granted(stand, "bob", "", password="wrong")
    assert (answer.status, answer.json["error"]) == (401, "invalid_grant")
    assert granted(stand, "bob", "", grant_type="refresh_token").status == 400
    assert granted(stand, "bob", "", username="bo:b").status == 400
    assert stand.ask("POST", "/auth/token", body="x" * 40000).status == 413
    assert stand.ask("PUT", "/auth/token").status == 405
    assert stand.ask("GET", "/auth/token", Authorization="Digest x").status == 401
    assert 'wrong password or no such user: "bob" from 127.0.0.1\n' in stand.log("nginx")
    assert 'wrong"' not in stand.log("nginx")  # what was tried is not logged


def test_no_password_is_logged(stand):
    for password in PASSWORDS.values():
        for name in ("nginx", "registry", "users"):
            assert password not in stand.log(name)


@pytest.mark.parametrize("by", ["token", "password"])
@pytest.mark.parametrize(("repository", "user"), [(r, u) for r in MAY for u in MEMBERS])
def test_pushes_and_pulls(stand, repository, user, by):
    may = MAY[repository].get(user, "")
    who = {"user": user}
    if by == "token":
        scope = f"repository:{repository}:pull,push,delete"
        who = {"token": stand.token(scope, user=user)}
    pulled = stand.pull(repository, **who)
    # One that is not there is said so only to those who might pull it.
    assert pulled.status in ((200, 404) if may else (403,))
    if not may:
        assert pulled.said == f"{user} has no rights in {repository}"
    begun = stand.ask("POST", f"/v2/{repository}/blobs/uploads/", **who)
    if may in ("push", "all"):
        assert begun.status == 202
    else:
        assert begun.status == 403
        what = "may only pull in" if may else "has no rights in"
        assert begun.said == f"{user} {what} {repository}"
        assert "WWW-Authenticate" not in begun.headers
    gone = stand.ask("DELETE", f"/v2/{repository}/manifests/sha256:{'0' * 64}", **who)
    assert gone.status == (404 if may == "all" else 403)
    if may == "push":
        assert gone.said == f"{user} may only pull and push in {repository}"


@pytest.mark.parametrize("repository", MAY)
def test_without_a_login(stand, repository):
    may = MAY[repository].get("", "")
    for token in (None, stand.token(f"repository:{repository}:pull,push")):
        pulled = stand.pull(repository, token=token)
        assert pulled.status == (200 if may else 401)
        begun = stand.ask("POST", f"/v2/{repository}/blobs/uploads/", token=token)
        assert begun.status == 401
        assert begun.said == "authentication required"
        # Who sent nothing is asked for a password; who sent a token, for another one.
        wanted = "Bearer " if token else "Basic "
        assert begun.headers["WWW-Authenticate"].startswith(wanted)


def test_ping(stand):
    answer = stand.ask("GET", "/v2/", Host="other.name:77")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer realm="https://other.name:77/auth/token",service="localhost:{stand.port}"'
    )
    answer = stand.ask("GET", "/v2/", Host='a"b')
    assert answer.status == 400 or 'a"b' not in answer.headers["WWW-Authenticate"]
    assert stand.ask("GET", "/v2/", user="bob").status == 200
    assert stand.ask("GET", "/v2/", token=stand.token(user="bob")).status == 200
    assert stand.ask("GET", "/v2/", token=stand.token()).status == 200
    assert stand.ask("GET", "/").status == 404


def test_the_catalog_is_for_admins(stand):
    for who in ({"user": "root"}, {"token": stand.token("registry:catalog:*", user="root")}):
        answer = stand.ask("GET", "/v2/_catalog", **who)
        assert answer.status == 200
        assert "nobodys" in answer.json["repositories"]
    for who in ({"user": "carol"}, {"token": stand.token("registry:catalog:*", user="carol")}):
        answer = stand.ask("GET", "/v2/_catalog", **who)
        assert answer.status == 403
        assert answer.said == "carol may not list all repositories"
    assert stand.ask("GET", "/v2/_catalog").status == 401


def test_a_token_for_another_repository_is_not_enough(stand):
    token = stand.token("repository:team-a/app:pull", user="carol")
    answer = stand.pull("team-a/secret", token=token)
    assert answer.status == 401
    assert answer.said == "another token is needed"
    assert 'scope="repository:team-a/secret:pull"' in answer.headers["WWW-Authenticate"]


PATHS = (
    ("GET", "/v2/"),
    ("GET", "/v2/_catalog"),
    ("GET", "/v2/open/app/tags/list"),
    ("GET", "/v2/open/app/manifests/1"),
    ("HEAD", "/v2/open/app/manifests/1"),
    ("GET", f"/v2/open/app/blobs/{blob('open/app')}"),
    ("POST", "/v2/team-a/app/blobs/uploads/"),
    ("PATCH", "/v2/team-a/app/blobs/uploads/00000000-0000-0000-0000-000000000000"),
    ("PUT", "/v2/team-a/app/manifests/1"),
    ("DELETE", f"/v2/team-a/app/manifests/sha256:{'0' * 64}"),
    ("GET", "/v2/nothing"),
    ("GET", "/auth/token"),
    ("GET", "/auth/token?scope=repository:open/app:pull"),
)


@pytest.mark.parametrize(("method", "path"), PATHS)
@pytest.mark.parametrize("user", ["root", "alice", "nobody-we-know", ""])
def test_a_wrong_password_is_refused_everywhere(stand, method, path, user):
    """Also where anybody might do it without one: so do clients notice."""
    answer = stand.ask(
        method, path, user=user, password="wrong", body=b"{}" if method[0] == "P" else b""
    )
    assert answer.status == 401
    if method != "HEAD":
        assert answer.said == "incorrect username or password"
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("user", ["alice", "bob", "dave"])
@pytest.mark.parametrize("by", ["token", "password"])
def test_a_mount_is_no_way_around(stand, user, by):
    """Whoever may not pull there gets a plain upload, as from a registry that has no such blob."""
    path = MOUNT.format(to="{to}", digest=blob("team-a/secret"), source="team-a/secret")
    to = "team-b/x" if user == "dave" else "team-a/x"
    who = {"user": user}
    if by == "token":
        scopes = (f"repository:{to}:pull,push", "repository:team-a/secret:pull")
        who = {"token": stand.token(*scopes, user=user)}
    answer = stand.ask("POST", path.format(to=to), **who)
    assert answer.status == (403 if user == "bob" else 202)
    assert stand.ask("HEAD", f"/v2/{to}/blobs/{blob('team-a/secret')}", user="root").status == 404


@pytest.mark.parametrize("by", ["token", "password"])
def test_a_mount_from_where_one_may_pull(stand, by):
    path = MOUNT.format(to="team-a/mounted", digest=blob("team-a/secret"), source="team-a/secret")
    who = {"user": "carol"}
    if by == "token":
        scopes = ("repository:team-a/mounted:pull,push", "repository:team-a/secret:pull")
        who = {"token": stand.token(*scopes, user="carol")}
    assert stand.ask("POST", path, **who).status == 201


TRICKS = (
    "/v2/open/../team-a/secret/manifests/1",
    "/v2/open/app/../../team-a/secret/manifests/1",
    "/v2/open/%2e%2e/team-a/secret/manifests/1",
    "/v2/open%2f..%2fteam-a/secret/manifests/1",
    "/v2/team-a%2fsecret/manifests/1",
    "/v2/team-a/%73ecret/manifests/1",
    "/v2//team-a/secret/manifests/1",
    "/v2/./team-a/secret/manifests/1",
    "/v2/TEAM-A/secret/manifests/1",
    "/v2/team-a/Secret/manifests/1",
    "/V2/team-a/secret/manifests/1",
    "/v2/team-a/secret/manifests/1?x=/v2/open/app/manifests/1",
    "/v2/team-a/secret/manifests/1#/v2/open/app/manifests/1",
    "/v2/team-a/secret;open/manifests/1",
    "/v2/team-a/secret/manifests/../manifests/1",
    "/v2/open/app/manifests/1/../../../../team-a/secret/manifests/1",
    "/auth/../v2/team-a/secret/manifests/1",
    "/_registry",
    "/_check",
    "/_mint",
    "/_users",
)


@pytest.mark.parametrize("path", TRICKS)
@pytest.mark.parametrize("who", [{}, {"user": "bob"}, {"user": "dave"}])
def test_no_spelling_leads_around_a_project(stand, path, who):
    answer = stand.ask("GET", path, **who)
    assert answer.status not in (200, 201, 202, 500, 502)
    assert blob("team-a/secret").encode() not in answer.body
    token = stand.token("repository:open/app:pull", "repository:team-a/secret:pull", **who)
    answer = stand.ask("GET", path, token=token)
    assert answer.status not in (200, 201, 202, 500, 502)
    assert blob("team-a/secret").encode() not in answer.body


@pytest.mark.parametrize(
    "scope",
    [
        "repository:open/../team-a/secret:pull",
        "repository:team-a%2fsecret:pull",
        "repository:Team-a/secret:pull",
        "repository:team-a/secret/:pull",
        "repository:/team-a/secret:pull",
        "repository:team-a//secret:pull",
        "repository(plugin):team-a/secret:pull",
        "repository:constructor:pull",
        "repository:__proto__:pull",
        "registry:catalog:*",
        "registry:catalog:pull",
        "repository:*:pull",
        "repository::pull",
        "team-a/secret",
        "repository:team-a/secret",
        ":::",
        "*",
        "%20%20",
        "repository:team-a/secret:pull,push,*",
    ],
)
def test_scopes_that_give_nothing(stand, scope):
    assert access(stand.token(scope, user="bob")) == {}
    assert access(stand.token(scope)) == {}


@pytest.mark.parametrize("name", ["open/" + "a" * 251, "open" + "/a" * 15000, "a" + "/a" * 15000])
def test_a_name_that_is_too_long_for_a_registry_belongs_to_no_project(stand, name):
    """To look for its project costs memory: 200 MB for the longest of these."""
    assert access(stand.token(f"repository:{name}:pull")) == {}
    assert roles.rights(stand.declared, None, name) == roles.NOTHING


def test_a_name_as_long_as_a_registry_takes_it_belongs_to_its_project(stand):
    name = "open/" + "a" * 250
    assert access(stand.token(f"repository:{name}:pull")) == {name: ["pull"]}
    assert roles.rights(stand.declared, None, name) == {"pull"}


def test_a_hundred_scopes_are_enough(stand):
    token = stand.token(*(f"repository:team-a/x{number}:pull" for number in range(150)), user="bob")
    assert len(access(token)) == 100
    assert stand.pull("team-a/x7", token=token).status == 404


def test_a_guest_cannot_push_what_he_could_pull(stand):
    done = stand.push("team-a/app", tag="evil", user="bob")
    assert (done.status, done.said) == (403, "bob may only pull in team-a/app")


def test_ready_only_for_the_policy_that_is_used(stand):
    assert stand.ask("GET", stand.needs.ready).json == {"ready": True}
    assert stand.ask("GET", "/auth/ready/0123456789abcdef").status == 404


def test_where_uploads_go_on(stand):
    begun = stand.ask("POST", "/v2/team-a/app/blobs/uploads/", user="alice")
    where = begun.headers["Location"]
    assert re.match(rf"https://localhost:{stand.port}/v2/team-a/app/blobs/uploads/", where)


def test_users_that_are_named_like_what_every_object_has(stands):
    """In JavaScript: whose names the fleet file takes, the gateway takes as well."""
    names = ("__proto__", "constructor", "toString", "hasOwnProperty")
    project = Project("team", members=tuple(Member(name, "guest") for name in names))
    for admins in (names, ()):
        stand = stands(
            passwords=dict.fromkeys((*names, "root"), "x"),
            changes={"admins": ("root", *admins), "projects": (project,)},
        )
        assert stand.push("team/app", user="root").status == 201
        for name in names:
            for repository in ("team/app", "other"):
                wanted = f"repository:{repository}:pull,push,delete"
                found = access(stand.token(wanted, user=name)).get(repository, ())
                assert set(found) == roles.rights(stand.declared, name, repository), name
        for name in ("valueOf", "isPrototypeOf"):
            assert stand.ask("GET", "/v2/", user=name, password="x").status == 401
