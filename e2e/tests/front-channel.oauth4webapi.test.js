// `oauth4webapi` and `openid-client` where tokens come through the browser: implicit and hybrid, by fragment and by form.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
import { Person } from '../support/person.js'
import { startServer } from '../support/server.js'
import { passThrough } from '../support/sign-in.js'

let server, application, issuer
before(async () => {
  application = await startApplication()
  server = await startServer({ application: application.origin, backend: application.backend })
  const url = new URL(server.origin)
  issuer = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url))
})
after(async () => {
  await server?.stop()
  await application?.stop()
})

const portal = { client_id: 'portal' }
const authentication = oauth.ClientSecretBasic('portal-secret')

/** Sends a person through a request of this response type; the answer as parameters, however they came. */
async function ask(response_type, more = {}, person = new Person(server.origin)) {
  const [state, nonce, verifier] = [oauth.generateRandomState(), oauth.generateRandomNonce(), oauth.generateRandomCodeVerifier()]
  const url = new URL(issuer.authorization_endpoint)
  const parameters = { client_id: 'portal', redirect_uri: `${application.origin}/callback`, response_type, scope: 'openid email', state, nonce, ...more }
  if (response_type.includes('code')) {
    parameters.code_challenge = await oauth.calculatePKCECodeChallenge(verifier)
    parameters.code_challenge_method = 'S256'
  }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value)
  const { url: answer, body } = await passThrough(person, url)
  assert.equal(answer.search, '', 'nothing of the answer is in the query')
  return { state, nonce, verifier, answer, parameters: body ?? new URLSearchParams(answer.hash.slice(1)), person }
}

async function redeem(code, { state, nonce, verifier }) {
  const parameters = oauth.validateAuthResponse(issuer, portal, new URLSearchParams({ code, state, iss: issuer.issuer }), state)
  const response = await oauth.authorizationCodeGrantRequest(
    issuer, portal, authentication, parameters, `${application.origin}/callback`, verifier,
  )
  return oauth.processAuthorizationCodeResponse(issuer, portal, response, { expectedNonce: nonce, requireIdToken: true })
}

async function userinfo(access_token, subject) {
  const response = await oauth.userInfoRequest(issuer, portal, access_token)
  return oauth.processUserInfoResponse(issuer, portal, subject, response)
}

for (const mode of ['fragment', 'form_post']) {
  const response_mode = mode === 'fragment' ? undefined : mode

  test(`\`code id_token\` by ${mode}: a detached signature that the library accepts`, async () => {
    const asked = await ask('code id_token', { response_mode })
    const given = response_mode
      ? new Request(asked.answer, { method: 'POST', body: asked.parameters })
      : asked.answer
    const parameters = await oauth.validateCodeIdTokenResponse(issuer, portal, given, asked.nonce, asked.state)
    const tokens = await redeem(parameters.get('code'), asked)
    const { email } = await userinfo(tokens.access_token, oauth.getValidatedIdTokenClaims(tokens).sub)
    assert.equal(email, 'alice@northwind.example')
  })

  test(`\`id_token\` by ${mode}: claims in the ID token itself`, async () => {
    const config = await client.discovery(new URL(server.origin), 'portal', undefined, client.None())
    client.useIdTokenResponseType(config)
    const asked = await ask('id_token', { response_mode })
    const given = response_mode ? new Request(asked.answer, { method: 'POST', body: asked.parameters }) : asked.answer
    const claims = await client.implicitAuthentication(config, given, asked.nonce, { expectedState: asked.state })
    assert.equal(claims.email, 'alice@northwind.example')
    assert.equal(asked.parameters.get('access_token'), null)
    assert.equal(asked.parameters.get('code'), null)
  })
}

for (const type of ['id_token token', 'code token', 'code id_token token']) {
  test(`\`${type}\`: the access token works, and the hashes bind what came with the ID token`, async () => {
    const asked = await ask(type)
    const { parameters } = asked
    assert.equal(parameters.get('state'), asked.state)
    assert.equal(parameters.get('iss'), issuer.issuer)
    assert.equal(parameters.get('token_type').toLowerCase(), 'bearer')
    assert.ok(Number(parameters.get('expires_in')) > 0)
    assert.equal(parameters.has('code'), type.includes('code'))
    assert.equal(parameters.has('refresh_token'), false)
    let subject
    if (type.includes('id_token')) {
      const claims = await verified(parameters.get('id_token'))
      assert.equal(claims.nonce, asked.nonce)
      assert.equal(claims.at_hash, await half(parameters.get('access_token')))
      if (type.includes('code')) assert.equal(claims.c_hash, await half(parameters.get('code')))
      subject = claims.sub
    } else {
      assert.equal(parameters.has('id_token'), false)
      subject = oauth.skipSubjectCheck
    }
    assert.equal((await userinfo(parameters.get('access_token'), subject)).email, 'alice@northwind.example')
    if (type.includes('code')) await redeem(parameters.get('code'), asked)
  })
}

test('the order of the words does not matter', async () => {
  const { parameters } = await ask('token id_token')
  assert.ok(parameters.has('access_token') && parameters.has('id_token'))
})

test('without a nonce no ID token comes through the browser', async () => {
  const { parameters } = await ask('id_token', { nonce: undefined })
  assert.equal(parameters.get('error'), 'invalid_request')
  assert.equal(parameters.has('id_token'), false)
})

test('tokens never go into the query', async () => {
  const { parameters } = await ask('id_token token', { response_mode: 'query' })
  assert.equal(parameters.get('error'), 'invalid_request')
})

test('a client without the implicit grant has no token from the browser', async () => {
  const { parameters } = await ask('id_token', { client_id: 'web' })
  assert.equal(parameters.get('error'), 'unauthorized_client')
})

async function verified(id_token) {
  const { createRemoteJWKSet, jwtVerify } = await import('jose')
  const { payload } = await jwtVerify(id_token, createRemoteJWKSet(new URL(issuer.jwks_uri)), { issuer: issuer.issuer, audience: 'portal' })
  return payload
}

/** The left half of the SHA-256, for RS256 and ES256 (Core §3.3.2.11). */
async function half(text) {
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return Buffer.from(hash).subarray(0, 16).toString('base64url')
}
