// `openid-client` as a web application: authorization code with PKCE, userinfo, refresh, pushed and signed requests. The person
// has a browser without JavaScript.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
import { machineKey } from '../support/keys.js'
import { Person } from '../support/person.js'
import { startServer } from '../support/server.js'
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

const callback = () => `${application.origin}/callback`

const discover = (id, authentication = client.ClientSecretBasic(`${id}-secret`), path = '') =>
  client.discovery(new URL(server.origin + path), id, undefined, authentication)

/** A request as an application makes it: the address, and what the answer is checked against. */
async function request(config, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const expected = { pkceCodeVerifier, expectedState: client.randomState(), expectedNonce: client.randomNonce() }
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: callback(),
    scope: 'openid profile email',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expected.expectedState,
    nonce: expected.expectedNonce,
    ...parameters,
  })
  return { url, expected }
}

async function signIn(config, person = new Person(server.origin), parameters = {}) {
  const { url, expected } = await request(config, parameters)
  const arrived = await passThrough(person, url)
  const tokens = await client.authorizationCodeGrant(config, arrived.url, { ...expected, idTokenExpected: true })
  return { person, tokens, claims: tokens.claims(), titles: arrived.titles, url: arrived.url }
}

for (const path of ['', '/oauth2', '/oidc/endpoint/default']) {
  test(`code with PKCE at the issuer \`${path || '/'}\`: ID token, userinfo, refresh`, async () => {
    const config = await discover('web', undefined, path)
    const { tokens, claims } = await signIn(config, undefined, { scope: 'openid profile email address phone' })
    assert.equal(claims.iss, server.origin + path)
    assert.equal(typeof claims.auth_time, 'number')
    assert.ok(claims.amr.length > 0)
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub)
    assert.equal(userinfo.name, 'Alice Pleasance Liddell')
    assert.equal(userinfo.email_verified, true)
    assert.equal(userinfo.address.country, 'United Kingdom')
    assert.equal(userinfo.phone_number, '+441865276150')

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token)
    assert.notEqual(refreshed.access_token, tokens.access_token)
    assert.equal(refreshed.claims().sub, claims.sub)
    assert.equal(refreshed.claims().auth_time, claims.auth_time)
    await client.fetchUserInfo(config, refreshed.access_token, claims.sub)
  })
}

test('a session spares the second sign-in; `prompt=login` and `max_age` ask again', async () => {
  const config = await discover('web')
  const first = await signIn(config)
  assert.equal(first.titles.length, 1)

  const second = await signIn(config, first.person)
  assert.deepEqual(second.titles, [])
  assert.equal(second.claims.auth_time, first.claims.auth_time)

  const silent = await signIn(config, first.person, { prompt: 'none', id_token_hint: first.tokens.id_token })
  assert.deepEqual(silent.titles, [])

  const again = await signIn(config, first.person, { prompt: 'login' })
  assert.equal(again.titles.length, 1)
  assert.ok(again.claims.auth_time >= first.claims.auth_time)

  const { url, expected } = await request(config, { max_age: '10000' })
  const arrived = await passThrough(first.person, url)
  const tokens = await client.authorizationCodeGrant(config, arrived.url, { ...expected, maxAge: 10000 })
  assert.equal(tokens.claims().auth_time, again.claims.auth_time)
})

test('`prompt=none` without a session comes back as `login_required`, with state and issuer', async () => {
  const config = await discover('web')
  const { url, expected } = await request(config, { prompt: 'none' })
  const { url: answer } = await passThrough(new Person(server.origin), url)
  assert.equal(answer.searchParams.get('iss'), server.origin)
  await assert.rejects(client.authorizationCodeGrant(config, answer, expected), { error: 'login_required' })
})

test('a code is good once, and its second use takes the tokens back', async () => {
  const config = await discover('web')
  const { url, expected } = await request(config)
  const arrived = await passThrough(new Person(server.origin), url)
  const tokens = await client.authorizationCodeGrant(config, arrived.url, expected)
  await assert.rejects(client.authorizationCodeGrant(config, arrived.url, expected), { error: 'invalid_grant', status: 400 })
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub), { status: 401 })
})

test('a wrong verifier is refused', async () => {
  const config = await discover('web')
  const { url, expected } = await request(config)
  const arrived = await passThrough(new Person(server.origin), url)
  const wrong = { ...expected, pkceCodeVerifier: client.randomPKCECodeVerifier() }
  await assert.rejects(client.authorizationCodeGrant(config, arrived.url, wrong), { error: 'invalid_grant' })
})

test('a public application on any loopback port', async () => {
  const config = await discover('native', client.None())
  const port = new URL(application.origin).port
  const { tokens } = await signIn(config, undefined, { redirect_uri: `http://127.0.0.1:${port}/callback`, prompt: 'login' })
  assert.ok(tokens.access_token)
})

test('a registered address keeps its query', async () => {
  const config = await discover('web')
  const redirect_uri = `${callback()}?kept=yes`
  const { url, expected } = await request(config, { redirect_uri })
  const arrived = await passThrough(new Person(server.origin), url)
  assert.equal(arrived.url.searchParams.get('kept'), 'yes')
  // `openid-client` takes an address without a query for granted; the library below it takes what it is given.
  const [metadata, web] = [config.serverMetadata(), { client_id: 'web' }]
  const answer = oauth.validateAuthResponse(metadata, web, arrived.url, expected.expectedState)
  const authentication = oauth.ClientSecretBasic('web-secret')
  const response = await oauth.authorizationCodeGrantRequest(
    metadata, web, authentication, answer, redirect_uri, expected.pkceCodeVerifier,
  )
  const expectedNonce = expected.expectedNonce
  assert.ok((await oauth.processAuthorizationCodeResponse(metadata, web, response, { expectedNonce })).access_token)
})

test('an address that is not registered is never gone to', async () => {
  const config = await discover('web')
  const { url } = await request(config, { redirect_uri: `${callback()}/elsewhere` })
  const page = await new Person(server.origin).visit(url)
  assert.equal(page.left, undefined)
  assert.equal(page.status, 400)
  assert.ok(page.has('error-id'))
  assert.ok(!page.html.includes('/elsewhere'))
})

test('consent is asked once, remembered, and can be refused', async () => {
  const config = await discover('calendar')
  const { person, titles } = await signIn(config)
  assert.equal(titles.length, 2)
  assert.deepEqual((await signIn(config, person)).titles, [])

  const { url, expected } = await request(config, { prompt: 'consent' })
  const page = await person.visit(url)
  assert.ok(page.text.includes('Calendar'))
  const { left } = await person.submit(page, {}, 'deny')
  await assert.rejects(client.authorizationCodeGrant(config, left, expected), { error: 'access_denied' })
})

test('a pushed request, and refusal of one that was not pushed', async () => {
  const config = await discover('bank', client.PrivateKeyJwt(await machineKey()))
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const state = client.randomState()
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri: callback(),
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state,
  })
  assert.deepEqual([...url.searchParams.keys()].sort(), ['client_id', 'request_uri', 'response_type'].filter(name => url.searchParams.has(name)))
  const arrived = await passThrough(new Person(server.origin), url)
  const tokens = await client.authorizationCodeGrant(config, arrived.url, { pkceCodeVerifier, expectedState: state })
  assert.equal(tokens.claims().aud, 'bank')

  const plain = await request(config)
  const answer = await passThrough(new Person(server.origin), plain.url)
  await assert.rejects(client.authorizationCodeGrant(config, answer.url, plain.expected), { error: 'invalid_request' })
})

test('a signed request', async () => {
  const config = await discover('signer', client.PrivateKeyJwt(await machineKey()))
  const { url, expected } = await request(config)
  const signed = await client.buildAuthorizationUrlWithJAR(config, url.searchParams, await machineKey())
  const arrived = await passThrough(new Person(server.origin), signed)
  const tokens = await client.authorizationCodeGrant(config, arrived.url, expected)
  assert.equal(tokens.claims().aud, 'signer')
})

test('claims asked for by name, and only those', async () => {
  const config = await discover('web')
  const claims = JSON.stringify({ userinfo: { given_name: { essential: true } }, id_token: { email: null, auth_time: { essential: true } } })
  const { tokens, claims: got } = await signIn(config, undefined, { scope: 'openid', claims })
  assert.equal(got.email, 'alice@northwind.example')
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, got.sub)
  assert.equal(userinfo.given_name, 'Alice')
  assert.equal(userinfo.email, undefined)
})
