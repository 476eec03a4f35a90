"""Certificates for the brokers of the tests, from an authority that exists for one run."""

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority's, a server's for 127.0.0.1, and a client's."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path

    @classmethod
    def made_in(cls, folder: Path) -> "Certificates":
        """Make them there."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        server, server_key = _issued(authority.issue_cert("127.0.0.1"), folder, "server")
        client, client_key = _issued(authority.issue_cert("client@example.org"), folder, "client")
        return cls(folder / "ca.pem", server, server_key, client, client_key)


def _issued(certificate: trustme.LeafCert, folder: Path, name: str) -> tuple[Path, Path]:
    chain, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    # Java reads a key in PKCS #8 only.
    private = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, key
