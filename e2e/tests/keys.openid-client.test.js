// `openid-client` and `jose` where keys matter: tokens encrypted to a client, subjects of its own, keys that are replaced.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createLocalJWKSet, decodeProtectedHeader, exportJWK, generateKeyPair, jwtVerify } from 'jose'
import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
import { Person } from '../support/person.js'
import { startServer, until } from '../support/server.js'
import { passThrough } from '../support/sign-in.js'

let server, application
before(async () => {
  application = await startApplication()
  server = await startServer({ application: application.origin, backend: application.backend })
})
after(async () => {
  await server?.stop()
  await application?.stop()
})

/** An application that registers itself with this metadata. */
const register = (metadata = {}) =>
  client.dynamicClientRegistration(new URL(server.origin), {
    redirect_uris: [`${application.backend}/callback`],
    token_endpoint_auth_method: 'client_secret_basic',
    ...metadata,
  }, client.ClientSecretBasic())

async function signIn(config) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: `${application.backend}/callback`,
    scope: 'openid email',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const arrived = await passThrough(new Person(server.origin), url)
  return client.authorizationCodeGrant(config, arrived.url, { pkceCodeVerifier, idTokenExpected: true })
}

for (const [alg, enc] of [['RSA-OAEP-256', 'A256GCM'], ['RSA-OAEP', 'A128CBC-HS256'], ['ECDH-ES', 'A128GCM'], ['ECDH-ES+A256KW', 'A256CBC-HS512']]) {
  test(`an ID token and userinfo encrypted with ${alg} and ${enc}`, async () => {
    const pair = await generateKeyPair(alg, { extractable: true })
    const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'ours', use: 'enc', alg }
    const config = await register({
      jwks: { keys: [jwk] },
      id_token_signed_response_alg: 'ES256',
      id_token_encrypted_response_alg: alg,
      id_token_encrypted_response_enc: enc,
      userinfo_signed_response_alg: 'ES256',
      userinfo_encrypted_response_alg: alg,
      userinfo_encrypted_response_enc: enc,
    })
    client.enableDecryptingResponses(config, [enc], { key: pair.privateKey, alg, kid: 'ours' })
    const tokens = await signIn(config)
    assert.equal(decodeProtectedHeader(tokens.id_token).enc, enc)
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
    assert.equal(userinfo.email, 'alice@northwind.example')
  })
}

for (const alg of ['RS256', 'PS256', 'ES256', 'EdDSA']) {
  test(`an ID token and userinfo signed with ${alg}`, async () => {
    const config = await register({ id_token_signed_response_alg: alg, userinfo_signed_response_alg: alg })
    // Claims that came over TLS need no signature; this judge looks at it all the same.
    client.enableNonRepudiationChecks(config)
    const tokens = await signIn(config)
    assert.equal(decodeProtectedHeader(tokens.id_token).alg, alg)
    assert.equal((await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)).email, 'alice@northwind.example')
  })
}

test('a subject of its own for each sector, the same wherever the client looks', async () => {
  const [open, own] = [await register(), await register({ subject_type: 'pairwise' })]
  const [atOpen, atOwn] = [await signIn(open), await signIn(own)]
  assert.notEqual(atOwn.claims().sub, atOpen.claims().sub)
  assert.equal((await client.fetchUserInfo(own, atOwn.access_token, atOwn.claims().sub)).sub, atOwn.claims().sub)
  assert.equal((await client.tokenIntrospection(own, atOwn.access_token)).sub, atOwn.claims().sub)
  assert.equal((await signIn(own)).claims().sub, atOwn.claims().sub)
})

test('a key that is replaced while the server runs: new tokens by the new key, old ones still verify', async () => {
  const config = await register()
  const { issuer, jwks_uri } = config.serverMetadata()
  const keys = async () => (await fetch(jwks_uri)).json()
  const verify = async token => jwtVerify(token, createLocalJWKSet(await keys()), { issuer })
  const old = await signIn(config)
  const before = decodeProtectedHeader(old.id_token).kid

  await server.command('keys', 'rotate', '--tenant', 'e2e', '--alg', 'RS256', '--ahead', '0')
  // The server follows its database within moments.
  assert.ok(await until(async () => (await keys()).keys.some(({ alg, kid }) => alg === 'RS256' && kid !== before)))
  const fresh = await signIn(config)
  assert.notEqual(decodeProtectedHeader(fresh.id_token).kid, before)
  await verify(fresh.id_token)
  await verify(old.id_token)
})
