"""Authlib as an application: code with PKCE, implicit, hybrid, refresh, device."""

import unittest
from urllib.parse import parse_qs, urlsplit

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken, HybridIDToken, ImplicitIDToken, UserInfo
from joserfc import jwt
from joserfc.jwk import KeySet

from person import Person
from support import Server, trusting

CALLBACK = "http://127.0.0.1:8461/callback"


class Flows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.metadata = cls.server.metadata()
        cls.keys = KeySet.import_key_set(trusting(OAuth2Session("web")).get(cls.metadata["jwks_uri"], withhold_token=True).json())

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def session(self, client_id, secret=None, **more):
        way = "client_secret_basic" if secret else "none"
        return trusting(OAuth2Session(client_id, secret, token_endpoint_auth_method=way, **more))

    def arrive(self, session, **more):
        """Sends a person to the authorization endpoint; where they arrive, with what was sent."""
        nonce = generate_token(20)
        url, state = session.create_authorization_url(self.metadata["authorization_endpoint"], nonce=nonce, **more)
        return Person(self.server.origin).pass_through(url), state, nonce

    def claims(self, id_token, kind, client_id, nonce, **params):
        """The claims of an ID token, verified by the library's own rules."""
        decoded = jwt.decode(id_token, self.keys, algorithms=self.metadata["id_token_signing_alg_values_supported"])
        options = {"iss": {"value": self.metadata["issuer"]}, "aud": {"value": client_id}}
        claims = kind(decoded.claims, decoded.header, options, {"client_id": client_id, "nonce": nonce, **params})
        claims.validate()
        return claims

    def test_code_with_pkce_userinfo_and_refresh(self):
        session = self.session("web", "web-secret", scope="openid profile", redirect_uri=CALLBACK, code_challenge_method="S256")
        verifier = generate_token(48)
        arrived, state, nonce = self.arrive(session, code_verifier=verifier)
        token = session.fetch_token(
            self.metadata["token_endpoint"], authorization_response=arrived, state=state, code_verifier=verifier
        )
        claims = self.claims(token["id_token"], CodeIDToken, "web", nonce, access_token=token["access_token"])
        userinfo = UserInfo(session.get(self.metadata["userinfo_endpoint"]).json())
        self.assertEqual(userinfo["sub"], claims["sub"])
        self.assertEqual(userinfo["name"], "Alice Pleasance Liddell")

        again = session.refresh_token(self.metadata["token_endpoint"], refresh_token=token["refresh_token"])
        self.assertNotEqual(again["access_token"], token["access_token"])
        self.assertEqual(session.get(self.metadata["userinfo_endpoint"]).json()["sub"], claims["sub"])

    def test_implicit(self):
        session = self.session("portal", scope="openid", redirect_uri=CALLBACK)
        arrived, state, nonce = self.arrive(session, response_type="id_token token")
        token = session.fetch_token(authorization_response=arrived, state=state)
        self.claims(token["id_token"], ImplicitIDToken, "portal", nonce, access_token=token["access_token"])

    def test_hybrid(self):
        session = self.session("portal", "portal-secret", scope="openid", redirect_uri=CALLBACK)
        arrived, _, nonce = self.arrive(session, response_type="code id_token token")
        answer = {name: value for name, [value] in parse_qs(urlsplit(arrived).fragment).items()}
        params = {"access_token": answer["access_token"], "code": answer["code"]}
        front = self.claims(answer["id_token"], HybridIDToken, "portal", nonce, **params)
        token = session.fetch_token(self.metadata["token_endpoint"], code=answer["code"])
        back = self.claims(token["id_token"], CodeIDToken, "portal", nonce, access_token=token["access_token"])
        self.assertEqual(front["sub"], back["sub"])

    def test_a_device(self):
        session = self.session("television")
        begin = lambda: session.post(
            self.metadata["device_authorization_endpoint"],
            data={"client_id": "television", "scope": "openid"},
            withhold_token=True,
        ).json()
        fetch = lambda shown: session.fetch_token(
            self.metadata["token_endpoint"],
            grant_type="urn:ietf:params:oauth:grant-type:device_code",
            device_code=shown["device_code"],
        )
        waiting = begin()
        for expected in ("authorization_pending", "slow_down"):
            with self.assertRaises(OAuthError) as refused:
                fetch(waiting)
            self.assertEqual(refused.exception.error, expected)
        approved = begin()
        Person(self.server.origin).approve(approved["verification_uri_complete"])
        self.assertIn("id_token", fetch(approved))


if __name__ == "__main__":
    unittest.main()
