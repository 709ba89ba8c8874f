// `openid-client` as a service: discovery, client credentials by each way to authenticate, introspection, revocation.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'

import { machineKey } from '../support/keys.js'
import { startServer } from '../support/server.js'

let server
before(async () => (server = await startServer()))
after(() => server?.stop())

const ISSUERS = ['', '/oauth2', '/oidc/endpoint/default']
const secret = 'machine: secret & more'

const discover = (id, authentication, path = '') =>
  client.discovery(new URL(server.origin + path), id, undefined, authentication)

/** The library tells a refusal by its body, or by the challenge that comes with a 401. */
async function refused(promise, error, status) {
  const problem = await promise.then(assert.fail, problem => problem)
  assert.equal(problem.status, status, problem)
  assert.equal(problem.error ?? (await problem.response.json()).error, error)
}

for (const path of ISSUERS) {
  test(`discovery of the issuer at \`${path || '/'}\` as OpenID Connect and as OAuth`, async () => {
    for (const algorithm of ['oidc', 'oauth2']) {
      const config = await client.discovery(new URL(server.origin + path), 'machine', secret, undefined, { algorithm })
      const metadata = config.serverMetadata()
      assert.equal(metadata.issuer, server.origin + path)
      assert.equal(metadata.token_endpoint, `${server.origin}${path}/token`)
      const tokens = await client.clientCredentialsGrant(config)
      assert.equal(tokens.token_type, 'bearer')
    }
  })
}

test('every published key can be used as it says', async () => {
  const config = await discover('machine', client.ClientSecretPost(secret))
  const { keys } = await (await fetch(config.serverMetadata().jwks_uri)).json()
  assert.deepEqual(new Set(keys.map(({ kid }) => kid)).size, keys.length)
  const keySet = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
  for (const { alg, kid, use } of keys.filter(({ use }) => use === 'sig')) {
    assert.ok(await keySet({ alg, kid }), `${kid} ${use}`)
  }
})

test('client credentials with a secret in the header, in the body, and by key', async () => {
  const ways = [
    ['machine', client.ClientSecretBasic(secret)],
    ['machine', client.ClientSecretPost(secret)],
    ['machine-post', client.ClientSecretPost('machine-post-secret')],
    ['machine-key', client.PrivateKeyJwt(await machineKey())],
  ]
  for (const [id, authentication] of ways) {
    const config = await discover(id, authentication)
    const tokens = await client.clientCredentialsGrant(config, { scope: 'reports:read' })
    assert.equal(tokens.scope, 'reports:read')
    assert.ok(tokens.expiresIn() > 0)
    assert.equal(tokens.refresh_token, undefined)
  }
})

test('what is refused arrives as the error the standard names', async () => {
  const wrong = await discover('machine-post', client.ClientSecretPost('not the secret'))
  await refused(client.clientCredentialsGrant(wrong), 'invalid_client', 401)
  const other = await discover('machine-post', client.ClientSecretPost('machine-post-secret'))
  await refused(client.clientCredentialsGrant(other, { scope: 'reports:write' }), 'invalid_scope', 400)
  await refused(client.genericGrantRequest(other, 'urn:example:unheard-of', {}), 'unsupported_grant_type', 400)
  await refused(client.refreshTokenGrant(other, 'a-token-of-nobody'), 'unauthorized_client', 400)
  // A secret in the header, from a client registered for the body only.
  const header = await discover('machine-post', client.ClientSecretBasic('machine-post-secret'))
  await refused(client.clientCredentialsGrant(header), 'invalid_client', 401)
})

test('a client assertion is good once', async () => {
  const again = (header, payload) => (payload.jti = 'one-and-the-same')
  const repeated = client.PrivateKeyJwt(await machineKey(), { [client.modifyAssertion]: again })
  const config = await discover('machine-key', repeated)
  await client.clientCredentialsGrant(config)
  await refused(client.clientCredentialsGrant(config), 'invalid_client', 401)
})

for (const alg of ['RS256', 'PS256', 'EdDSA']) {
  test(`an access token signed with ${alg} verifies with the published key`, async () => {
    const id = `machine-${alg.toLowerCase()}`
    const config = await discover(id, client.ClientSecretBasic(`${id}-secret`))
    const { access_token } = await client.clientCredentialsGrant(config)
    const keySet = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri))
    const { payload, protectedHeader } = await jwtVerify(access_token, keySet, { issuer: server.origin, audience: id, typ: 'at+jwt' })
    assert.equal(protectedHeader.alg, alg)
    assert.equal(payload.client_id, id)
  })
}

test('a token is active until its owner revokes it', async () => {
  const config = await discover('machine', client.ClientSecretBasic(secret))
  const { access_token } = await client.clientCredentialsGrant(config, { scope: 'reports:read reports:write' })
  const before = await client.tokenIntrospection(config, access_token)
  assert.equal(before.active, true)
  assert.equal(before.client_id, 'machine')
  assert.deepEqual(new Set(before.scope.split(' ')), new Set(['reports:read', 'reports:write']))

  const stranger = await discover('machine-post', client.ClientSecretPost('machine-post-secret'))
  assert.deepEqual(await client.tokenIntrospection(stranger, access_token), { active: false })

  await client.tokenRevocation(config, access_token)
  assert.deepEqual(await client.tokenIntrospection(config, access_token), { active: false })
  await client.tokenRevocation(config, 'a-token-of-nobody')
})
