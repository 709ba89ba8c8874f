"""Authlib where no browser takes part: a password, and one token for another."""

import unittest

from authlib.integrations.requests_client import OAuth2Session

from support import ALICE, Server, trusting

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Grants(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.endpoint = cls.server.metadata()["token_endpoint"]

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def at_the_terminal(self):
        session = trusting(OAuth2Session("terminal", "terminal-secret", scope="openid profile"))
        return session, session.fetch_token(self.endpoint, **ALICE)

    def test_password_and_refresh(self):
        session, token = self.at_the_terminal()
        self.assertIn("id_token", token)
        again = session.refresh_token(self.endpoint, refresh_token=token["refresh_token"])
        self.assertNotEqual(again["access_token"], token["access_token"])

    def test_exchange(self):
        _, token = self.at_the_terminal()
        exchanged = trusting(OAuth2Session("orders", "orders-secret")).fetch_token(
            self.endpoint,
            grant_type="urn:ietf:params:oauth:grant-type:token-exchange",
            subject_token=token["access_token"],
            subject_token_type=ACCESS_TOKEN,
            scope="profile",
        )
        self.assertEqual(exchanged["issued_token_type"], ACCESS_TOKEN)
        self.assertEqual(exchanged["scope"], "profile")


if __name__ == "__main__":
    unittest.main()
