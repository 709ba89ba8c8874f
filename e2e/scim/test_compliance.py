"""scim2-tester against `/scim/v2`: every check it has, of every resource type that the server describes."""

import ssl
import sys
import unittest
from pathlib import Path

import httpx2
import requests
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

from support import TLS, Server, trusting  # noqa: E402

CLIENT = ("provisioning", "provisioning-secret")
FINE = {Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE}


class Compliance(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        form = {"grant_type": "client_credentials"}
        answer = trusting(requests.Session()).post(f"{cls.server.origin}/token", data=form, auth=CLIENT)
        answer.raise_for_status()
        cls.token = answer.json()["access_token"]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def client(self, token):
        trusted = ssl.create_default_context(cafile=TLS / "ca.pem")
        headers = {"Authorization": f"Bearer {token}"}
        base = f"{self.server.origin}/scim/v2"
        # What stands in the environment is no proxy of ours.
        return httpx2.Client(base_url=base, headers=headers, verify=trusted, trust_env=False)

    def test_every_check_passes(self):
        with self.client(self.token) as client:
            results = check_server(SyncSCIMClient(client))
        described = {result.resource_type for result in results if result.resource_type}
        self.assertLessEqual({"User", "Group"}, described)
        self.assertGreater(len(results), 100)
        for number, result in enumerate(results):
            with self.subTest(number=number, title=result.title, resource=result.resource_type):
                self.assertIn(result.status, FINE, f"{result.reason}\n{result.data}")

    def test_a_stranger_is_told_nothing(self):
        with self.client("x" * 40) as client:
            for path in ("/Users", "/Groups", "/Me", "/Schemas", "/ServiceProviderConfig", "/nothing"):
                answer = client.get(f"{self.server.origin}/scim/v2{path}")
                self.assertEqual(answer.status_code, 401, path)
                self.assertEqual(answer.json()["status"], "401")


if __name__ == "__main__":
    unittest.main()
