"""Which registry, which way, whom to trust, as whom."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass

import paramiko
from urllib3.util.ssltransport import SSLTransport

from regfleet.errors import CertificateError
from regfleet.fleet.model import Registry
from regfleet.pki.names import endpoint_host
from regfleet.registry_api.errors import explain
from regfleet.registry_api.tunnel import Dial, Stream, direct, explain_channel
from regfleet.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """A registry's user and password."""

    user: str
    password: Secret

    def header(self) -> str:
        """The value of `Authorization`, in UTF-8 as `docker login` encodes it (RFC 7617)."""
        pair = f"{self.user}:{self.password.reveal()}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


@dataclass(frozen=True, slots=True)
class Target:
    """A registry to talk to.

    Attributes:
        endpoint: as clients type it; its host is what the certificate must cover, whichever way
            leads there.
        dial: opens a connection to it.
        tls: whether it speaks TLS.
        ca: PEM of the CA to trust, that alone; None for the machine's own trust.
        timeout: seconds for each wait.
    """

    endpoint: str
    dial: Dial
    tls: bool = True
    ca: bytes | None = None
    timeout: float = 10.0

    @classmethod
    def of(cls, registry: Registry, ca: bytes | None, dial: Dial | None = None) -> Target:
        """A declared registry.

        Args:
            registry: its declaration.
            ca: what clients trust, `FleetCertificates.trusted_ca`.
            dial: the way; by default straight to the endpoint.
        """
        return cls(
            registry.endpoint,
            dial or direct(endpoint_host(registry.endpoint), registry.port),
            tls=registry.tls.source != "none",
            ca=ca,
        )

    @property
    def host(self) -> str:
        """The endpoint's host, without brackets."""
        return endpoint_host(self.endpoint)

    def connect(self) -> Stream:
        """A new connection, without TLS.

        Raises:
            RegistryError: it did not come about.
        """
        try:
            return Stream(self.dial(), self.timeout)
        except paramiko.SSHException as error:
            raise explain_channel(error, self.endpoint) from error
        except (OSError, EOFError) as error:
            raise explain(error, self.endpoint) from error

    def connect_tls(self, context: ssl.SSLContext | None = None) -> SSLTransport:
        """A new connection with TLS.

        Args:
            context: what to offer and whom to trust; by default what the target says.

        Raises:
            RegistryError: no connection.
            ssl.SSLError, OSError: no TLS; left as it is, since the checks look into it.
        """
        context = context or trusting(self.ca)
        stream = self.connect()
        try:
            # Typed for sockets; all that it calls is in Stream.
            return SSLTransport(stream, context, server_hostname=self.host)  # type: ignore[arg-type]
        except BaseException:
            stream.close()
            raise


def trusting(ca: bytes | None) -> ssl.SSLContext:
    """TLS 1.2 or later, trusting that CA alone, or what the machine trusts.

    A CA that is no root is trusted as it stands, as Go does it (X509_V_FLAG_PARTIAL_CHAIN).

    Raises:
        CertificateError: the CA is no PEM certificate.
    """
    # Looked up in the module at the time: gevent puts its own class there, and an object of the
    # class it replaced recurses without end (gevent issue 1016).
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if ca is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cadata=ca.decode("ascii"))
    except (ssl.SSLError, UnicodeDecodeError, ValueError) as error:
        raise CertificateError(f"the CA to trust is no certificate in PEM form: {error}") from error
    return context
