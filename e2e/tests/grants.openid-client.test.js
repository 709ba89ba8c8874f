// `openid-client` where no browser takes part: a password, an assertion, one token for another.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { SignJWT, createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'

import { machineKey } from '../support/keys.js'
import { startServer } from '../support/server.js'
import { alice } from '../support/sign-in.js'

let server
before(async () => (server = await startServer()))
after(() => server?.stop())

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'

const discover = (id, authentication = client.ClientSecretBasic(`${id}-secret`)) =>
  client.discovery(new URL(server.origin), id, undefined, authentication)

test('the resource owner password grant', async () => {
  const config = await discover('terminal')
  const tokens = await client.genericGrantRequest(config, 'password', { ...alice, scope: 'openid' })
  assert.ok(tokens.claims().sub)
  const wrong = client.genericGrantRequest(config, 'password', { ...alice, password: 'not hers', scope: 'openid' })
  await assert.rejects(wrong, { error: 'invalid_grant', status: 400 })
})

test('an assertion that the client signs', async () => {
  const config = await discover('partner', client.PrivateKeyJwt(await machineKey()))
  const { key, kid } = await machineKey()
  const assertion = await new SignJWT({ sub: 'NW00000AL1' })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer('partner')
    .setAudience(config.serverMetadata().token_endpoint)
    .setIssuedAt()
    .setExpirationTime('1 minute')
    .setJti(crypto.randomUUID())
    .sign(key)
  const grant = () => client.genericGrantRequest(config, 'urn:ietf:params:oauth:grant-type:jwt-bearer', { assertion, scope: 'openid' })
  const tokens = await grant()
  assert.ok(tokens.claims().sub)
  await assert.rejects(grant(), { error: 'invalid_grant' })
})

/** Tokens of a person, without any page. */
async function atTheTerminal(scope = 'openid profile') {
  return client.genericGrantRequest(await discover('terminal'), 'password', { ...alice, scope })
}

test('token exchange: a token of the terminal becomes one for orders, and never one with more', async () => {
  const { access_token: subject_token } = await atTheTerminal()
  const config = await discover('orders')
  const exchange = more =>
    client.genericGrantRequest(config, EXCHANGE, { subject_token, subject_token_type: ACCESS_TOKEN, ...more })
  const tokens = await exchange({ scope: 'profile', audience: 'https://orders.northwind.example' })
  assert.equal(tokens.issued_token_type, ACCESS_TOKEN)
  assert.equal(tokens.scope, 'profile')
  const payload = await verified(config, tokens.access_token)
  assert.equal(payload.client_id, 'orders')
  assert.equal('act' in payload, false)

  await assert.rejects(exchange({ scope: 'profile email' }), { error: 'invalid_scope' })
  await assert.rejects(exchange({ audience: 'https://elsewhere.example' }), { error: 'invalid_target' })
  await assert.rejects(exchange({ subject_token: 'a-token-of-nobody' }), { error: 'invalid_request' })
})

test('token exchange: who acts for a person is named in the token, and must be allowed to', async () => {
  const { access_token: subject_token } = await atTheTerminal()
  const config = await discover('orders')
  const { access_token: actor_token } = await client.clientCredentialsGrant(config)
  const exchange = actor_token =>
    client.genericGrantRequest(config, EXCHANGE, {
      subject_token, subject_token_type: ACCESS_TOKEN, actor_token, actor_token_type: ACCESS_TOKEN,
    })
  const payload = await verified(config, (await exchange(actor_token)).access_token)
  assert.equal(payload.act.sub, 'orders')
  assert.notEqual(payload.sub, 'orders')

  const { access_token: anotherPerson } = await atTheTerminal('profile')
  await assert.rejects(exchange(anotherPerson), { error: 'invalid_request' })
})

async function verified(config, token) {
  const { issuer, jwks_uri } = config.serverMetadata()
  return (await jwtVerify(token, createRemoteJWKSet(new URL(jwks_uri)), { issuer, typ: 'at+jwt' })).payload
}
