"""Authlib as a service: discovery, client credentials by each way to authenticate, introspection, revocation."""

import unittest

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from support import DIRECTORY, Server, trusting

SECRET = "machine: secret & more"
KEY = DIRECTORY.parent / "demo/reporting-service.pem"


class Services(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.metadata = cls.server.metadata()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def session(self, client_id="machine", secret=SECRET, way="client_secret_basic", **more):
        return trusting(
            OAuth2Session(
                client_id,
                secret,
                token_endpoint_auth_method=way,
                revocation_endpoint_auth_method=way,
                **more,
            )
        )

    def token(self, session, **more):
        return session.fetch_token(self.metadata["token_endpoint"], grant_type="client_credentials", **more)

    def test_metadata_is_valid_at_every_issuer(self):
        for issuer in ("", "/oauth2", "/oidc/endpoint/default"):
            with self.subTest(issuer=issuer):
                metadata = self.server.metadata(issuer)
                self.assertEqual(metadata["issuer"], self.server.origin + issuer)
                AuthorizationServerMetadata(metadata).validate_issuer()
                OpenIDProviderMetadata(metadata).validate_id_token_signing_alg_values_supported()

    def test_client_credentials_by_each_way(self):
        ways = [
            self.session(),
            self.session(way="client_secret_post"),
            self.session("machine-post", "machine-post-secret", "client_secret_post"),
        ]
        for session in ways:
            token = self.token(session, scope="reports:read")
            self.assertEqual(token["scope"], "reports:read")
            self.assertFalse(token.is_expired())

    def test_private_key_jwt_and_a_signed_token(self):
        way = PrivateKeyJWT(self.metadata["token_endpoint"], headers={"kid": "reporting-1"}, alg="ES256")
        session = self.session("machine-key", ECKey.import_key(KEY.read_text()), way)
        token = self.token(session, scope="reports:read")
        keys = KeySet.import_key_set(session.get(self.metadata["jwks_uri"], withhold_token=True).json())
        decoded = jwt.decode(token["access_token"], keys, algorithms=["ES256"])
        self.assertEqual(decoded.header["typ"], "at+jwt")
        jwt.JWTClaimsRegistry(
            iss={"essential": True, "value": self.metadata["issuer"]},
            sub={"essential": True, "value": "machine-key"},
            exp={"essential": True},
        ).validate(decoded.claims)

    def test_a_wrong_secret_is_refused(self):
        with self.assertRaises(OAuthError) as refused:
            self.token(self.session("machine-post", "not the secret", "client_secret_post"))
        self.assertEqual(refused.exception.error, "invalid_client")

    def test_a_token_is_active_until_it_is_revoked(self):
        session = self.session()
        token = self.token(session)["access_token"]
        look = lambda: session.introspect_token(self.metadata["introspection_endpoint"], token).json()
        self.assertTrue(look()["active"])
        self.assertEqual(session.revoke_token(self.metadata["revocation_endpoint"], token).status_code, 200)
        self.assertEqual(look(), {"active": False})


if __name__ == "__main__":
    unittest.main()
