"""One server with a tenant of its own, as it is shipped: `countersign serve` behind TLS with a database in a temporary
directory. Owns starting and ending it; does not know what is asked of it."""

import functools
import os
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import requests

DIRECTORY = Path(__file__).resolve().parent.parent
BINARY = os.environ.get("COUNTERSIGN_BINARY", str(DIRECTORY.parent / "target/debug/countersign"))
TLS = DIRECTORY / "tls"
PATIENCE = 30

ALICE = {"username": "alice", "password": "wonderland-11"}

CONFIGURATION = """
[server]
listen = "127.0.0.1:{port}"
[server.timeouts]
shutdown = 1
[tls]
cert = "{tls}/localhost.pem"
key = "{tls}/localhost.key"
[database]
url = "sqlite:data.sqlite3"
[keys]
master_key_file = "master.key"
[log]
format = "text"
"""


class Server:
    """A running server."""

    def __init__(self):
        self._home = Path(tempfile.mkdtemp(prefix="countersign-e2e-"))
        self._process = None
        with socket.socket() as chosen:
            chosen.bind(("127.0.0.1", 0))
            port = chosen.getsockname()[1]
        self.origin = f"https://localhost:{port}"
        tenant = (DIRECTORY / "tenant.toml").read_text().replace("https://localhost:8460", self.origin)
        (self._home / "tenant.toml").write_text(tenant)
        (self._home / "countersign.toml").write_text(CONFIGURATION.format(port=port, tls=TLS))
        try:
            self._begin()
        except BaseException:
            self.stop()
            raise

    def _begin(self):
        config = ["--config", str(self._home / "countersign.toml")]
        for words in (
            ["keys", "create-master", str(self._home / "master.key")],
            ["apply", str(self._home / "tenant.toml"), *config],
        ):
            subprocess.run([BINARY, *words], check=True, capture_output=True, text=True, timeout=PATIENCE)
        tied = shutil.which("setpriv")
        before = [tied, "--pdeathsig", "TERM", "--"] if tied else []
        self._log = (self._home / "log").open("w+")
        self._process = subprocess.Popen(
            [*before, BINARY, "serve", *config], stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server does not answer: {(self._home / 'log').read_text()}")
            time.sleep(0.01)

    def _answers(self):
        try:
            return trusting(requests.Session()).get(f"{self.origin}/jwks").ok
        except requests.ConnectionError:
            return False

    def metadata(self, issuer=""):
        """What discovery says of one of the issuers."""
        answer = trusting(requests.Session()).get(f"{self.origin}{issuer}/.well-known/openid-configuration")
        answer.raise_for_status()
        return answer.json()

    def stop(self):
        """Ends it and removes what it kept."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._log.close()
        shutil.rmtree(self._home, ignore_errors=True)


def trusting(session):
    """A session that trusts the certificate of the tests and no proxy, and does not wait for ever."""
    session.verify = str(TLS / "ca.pem")
    session.trust_env = False
    session.request = functools.partial(session.request, timeout=PATIENCE)
    return session
