"""What is known of a fleet for a command that only reads, with its state and without."""

from datetime import timedelta
from pathlib import Path

import pytest
from making import NOW, client, fleet, registry, with_login

from regfleet import passwords
from regfleet.errors import FleetFileError, RegfleetError
from regfleet.fleet.load import load
from regfleet.fleet.registries import Gateway, Member, PasswordSource, Project, Tls, User
from regfleet.materials import gather
from regfleet.model.resource import Resource, login_resource
from regfleet.report.resource_text import resource_text
from regfleet.run import known
from regfleet.state import StateDirectory

ENDPOINT = "reg.example.com:5000"
CERT = "/etc/docker/certs.d/reg.example.com:5000/ca.crt"
FROM_ENVIRONMENT = User("alice", PasswordSource("env", "REGFLEET_TEST_PASSWORD"))
GENERATED = User("ci", PasswordSource("generate"))
NOWHERE = User("ci", PasswordSource("command", "touch asked; exit 1"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("engine", ["docker", "podman", "containerd", "k3s", "buildkit"])
def test_without_secrets_what_they_make_is_unknown(engine):
    clients = [client(engine=engine, logins=with_login())]
    found = known.without_secrets(fleet([registry(users=(NOWHERE,))], clients), NOW)
    wanted = found.wanted()
    materials, hosts, unknown = wanted.materials, wanted.desired, wanted.unknown
    assert not list(Path.cwd().iterdir())
    assert set(map(resource_text, unknown["reg1"])) == {
        "file /etc/regfleet/main/config.yml",
        "file /etc/regfleet/main/registry.crt",
        "file /etc/regfleet/main/registry.key",
        "file /etc/regfleet/main/htpasswd",
        "container regfleet-main",
    }
    stand_in = materials.registries["main"].passwords["ci"].reveal()
    shown = {Resource("file", each.path) for each in hosts["web1"].files}
    assert shown & unknown["web1"] or engine == "k3s"
    texts = [(Resource("file", path), str(each)) for path, each in hosts["web1"].edits.items()]
    texts += [(Resource("file", each.path), each.content.decode()) for each in hosts["web1"].files]
    assert all(name in unknown["web1"] for name, text in texts if stand_in in text)


def test_a_registry_without_users_and_tls_is_known_but_for_its_signing_secret():
    plain = registry(users=(), tls=Tls("none"))
    unknown = known.without_secrets(fleet([plain]), NOW).wanted().unknown
    assert set(map(resource_text, unknown["reg1"])) == {
        "file /etc/regfleet/main/config.yml",
        "container regfleet-main",
    }
    assert unknown["web1"] == frozenset()


HELD = registry(
    users=(GENERATED,),
    projects=(Project("team-a", members=(Member("ci", "guest"),)),),
    gateway=Gateway("nginx:stable"),
)


def test_without_secrets_the_roles_of_a_gateway_are_known_and_its_keys_are_not():
    wanted = known.without_secrets(fleet([HELD]), NOW).wanted()
    assert set(map(resource_text, wanted.unknown["reg1"])) == {
        "file /etc/regfleet/main/config.yml",
        "file /etc/regfleet/main/users.yml",
        "file /etc/regfleet/main/tokens.crt",
        "file /etc/regfleet/main/htpasswd",
        "file /etc/regfleet/main.gateway/policy.js",
        "file /etc/regfleet/main.gateway/registry.crt",
        "file /etc/regfleet/main.gateway/registry.key",
        "container regfleet-main",
        "container regfleet-main.users",
    }
    (kept,) = [file for file in wanted.desired["reg1"].files if file.roles]
    assert "team-a" in kept.content.decode()


def test_the_keys_of_a_gateway_are_those_of_the_last_apply(tmp_path):
    state, whole = StateDirectory(tmp_path / "state"), fleet([HELD])
    assert known.read(whole, state, NOW).registries["main"].tokens is None
    gather(whole, state, save=True, now=NOW)
    found = known.read(whole, state, NOW).wanted()
    assert found.materials == gather(whole, state, save=False, now=NOW)
    assert found.unknown["reg1"] == frozenset()


def test_the_key_of_a_certificate_need_not_be_there(tmp_path):
    (tmp_path / "main.crt").write_text("")
    file = tmp_path / "fleet.toml"
    file.write_text(
        'version = 1\nname = "acme"\n[registry.main]\nhosts = ["reg1.example.com"]\n'
        '[registry.main.tls]\nsource = "files"\ncertificate = "main.crt"\nkey = "main.key"\n'
    )
    assert load(file, keys_needed=False).name == "acme"
    with pytest.raises(FleetFileError, match=r"tls\.key"):
        load(file)


class TestKnown:
    """A fleet applied once; then something is missing."""

    @pytest.fixture
    def state(self, tmp_path):
        return StateDirectory(tmp_path / "state")

    @pytest.fixture
    def whole(self, state, monkeypatch):
        found = fleet(
            [registry(users=(FROM_ENVIRONMENT, GENERATED))],
            [client(logins=with_login(user="alice"))],
        )
        monkeypatch.setenv("REGFLEET_TEST_PASSWORD", "first")
        gather(found, state, save=True, now=NOW)
        return found

    def test_everything_is_what_apply_would_make(self, whole, state):
        found = known.read(whole, state, NOW)
        assert list(found.errors()) == []
        wanted = found.wanted()
        materials, hosts, unknown = wanted.materials, wanted.desired, wanted.unknown
        assert materials == gather(whole, state, save=False, now=NOW)
        assert unknown == {"reg1": frozenset(), "web1": frozenset(), "web2": frozenset()}
        assert set(hosts) == set(unknown)

    def test_a_changed_password_is_seen(self, whole, state, monkeypatch):
        before = known.read(whole, state, NOW).registries["main"].htpasswd
        monkeypatch.setenv("REGFLEET_TEST_PASSWORD", "second")
        after = known.read(whole, state, NOW).registries["main"].htpasswd
        assert before.splitlines()[0] != after.splitlines()[0]
        assert before.splitlines()[1] == after.splitlines()[1]

    def test_without_a_password_the_kept_hashes_stand(self, whole, state, monkeypatch):
        monkeypatch.delenv("REGFLEET_TEST_PASSWORD")
        found = known.read(whole, state, NOW)
        about = found.registries["main"]
        assert about.htpasswd == state.read_text("registry/main.htpasswd")
        (error,) = found.errors()
        assert "the environment variable REGFLEET_TEST_PASSWORD is not set" in error.message
        assert about.credentials().user == "ci"
        unknown = found.wanted().unknown
        the_login = frozenset({login_resource("root", ENDPOINT)})
        assert unknown == {"reg1": frozenset(), "web1": the_login, "web2": the_login}

    def test_without_any_password_there_are_no_credentials(self, state, monkeypatch):
        monkeypatch.delenv("REGFLEET_TEST_PASSWORD", raising=False)
        one = fleet([registry(users=(FROM_ENVIRONMENT,))])
        about = known.read(one, state, NOW).registries["main"]
        with pytest.raises(RegfleetError, match="REGFLEET_TEST_PASSWORD is not set"):
            about.credentials()

    def test_a_registry_without_users_is_asked_as_nobody(self, state):
        about = known.read(fleet([registry(users=())]), state, NOW).registries["main"]
        assert about.credentials() is None

    def test_without_a_state_directory_nothing_is_made(self, whole, tmp_path):
        empty = StateDirectory(tmp_path / "empty")
        found = known.read(whole, empty, NOW)
        unknown = found.wanted().unknown
        assert not empty.path.exists()
        assert found.salt is None
        assert set(map(resource_text, unknown["reg1"])) == {
            "file /etc/regfleet/main/config.yml",
            "file /etc/regfleet/main/registry.crt",
            "file /etc/regfleet/main/registry.key",
            "file /etc/regfleet/main/htpasswd",
            "container regfleet-main",
        }
        assert unknown["web1"] == {Resource("file", CERT)}
        with pytest.raises(RegfleetError, match="not in the state directory"):
            found.registries["main"].trusted()

    def test_a_certificate_of_ones_own_that_cannot_serve(self, state):
        missing = Tls("files", certificate=Path("/none/crt"), key=Path("/none/key"))
        found = known.read(fleet([registry(tls=missing, users=())]), state, NOW)
        hosts, unknown = found.wanted().desired, found.wanted().unknown
        assert next(found.errors()).message.startswith("cannot read /none/crt")
        assert Resource("file", "/etc/regfleet/main/registry.crt") in unknown["reg1"]
        assert hosts["web1"].files == ()  # everybody trusts it already, as declared

    def test_a_generated_password_is_not_made_up(self, whole, state):
        assert known.read(whole, state, NOW).registries["main"].passwords[
            "ci"
        ] == passwords.resolve(
            GENERATED.password, state=state, registry="main", user="ci", save=False
        )
        state.path_of("passwords/main/ci").unlink()
        assert "ci" not in known.read(whole, state, NOW).registries["main"].passwords

    def test_a_ca_in_its_last_third_is_not_renewed(self, whole, state):
        before = state.read("ca.crt")
        known.read(whole, state, NOW + timedelta(days=3000)).wanted()
        assert state.read("ca.crt") == before
