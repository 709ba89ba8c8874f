// `openid-client` and `jose` at the end of a session: by the person, told to others behind their back and in frames.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { createRemoteJWKSet, jwtVerify } from 'jose'
import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
import { Person } from '../support/person.js'
import { startServer } from '../support/server.js'
import { answer, passThrough } from '../support/sign-in.js'

let server, application
before(async () => {
  application = await startApplication()
  server = await startServer({ application: application.origin, backend: application.backend })
})
after(async () => {
  await server?.stop()
  await application?.stop()
})

const discover = id => client.discovery(new URL(server.origin), id, undefined, client.ClientSecretBasic(`${id}-secret`))

async function signIn(config, person, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: `${application.origin}/callback`,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    ...parameters,
  })
  const arrived = await passThrough(person, url)
  return client.authorizationCodeGrant(config, arrived.url, { pkceCodeVerifier, idTokenExpected: true })
}

/** Confirms where the server asks, until the page that says it is over or the way elsewhere. */
async function logOut(person, url) {
  let page = await person.visit(url)
  while (!page.left && page.forms.length > 0) page = await answer(person, page)
  return page
}

test('the person logs out at one application, and the other hears of it', async () => {
  const [shop, calendar] = [await discover('web'), await discover('calendar')]
  const person = new Person(server.origin)
  const atShop = await signIn(shop, person)
  const atCalendar = await signIn(calendar, person)
  assert.ok(atCalendar.claims().sid)

  const called = application.called('/backchannel')
  const url = client.buildEndSessionUrl(shop, {
    id_token_hint: atShop.id_token,
    post_logout_redirect_uri: `${application.origin}/goodbye`,
    state: 'a state of mind',
  })
  const page = await logOut(person, url)

  // The page that tells the others by frames goes on by itself, or by a link where there is no script.
  assert.ok(page.html.includes('/frontchannel'))
  const { left } = await person.follow(page, 'continue')
  assert.equal(`${left.origin}${left.pathname}`, `${application.origin}/goodbye`)
  assert.deepEqual([...left.searchParams], [['state', 'a state of mind']])

  const { method, headers, body } = await called
  assert.equal(method, 'POST')
  assert.equal(headers['content-type'], 'application/x-www-form-urlencoded')
  assert.deepEqual([...body.keys()], ['logout_token'])
  const keySet = createRemoteJWKSet(new URL(calendar.serverMetadata().jwks_uri))
  const { payload } = await jwtVerify(body.get('logout_token'), keySet, {
    issuer: server.origin, audience: 'calendar', typ: 'logout+jwt', requiredClaims: ['iat', 'exp', 'jti', 'events'],
  })
  assert.deepEqual(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} })
  assert.equal(payload.sid, atCalendar.claims().sid)
  assert.equal(payload.sub ?? atCalendar.claims().sub, atCalendar.claims().sub)
  assert.equal('nonce' in payload, false)

  // The session is over: nothing without a page.
  const silent = client.buildAuthorizationUrl(shop, { redirect_uri: `${application.origin}/callback`, scope: 'openid', prompt: 'none' })
  const answered = await passThrough(person, silent)
  assert.equal(answered.url.searchParams.get('error'), 'login_required')
})

test('an address that is not registered is not gone to after logging out', async () => {
  const shop = await discover('web')
  const person = new Person(server.origin)
  const { id_token } = await signIn(shop, person)
  const url = client.buildEndSessionUrl(shop, { id_token_hint: id_token, post_logout_redirect_uri: `${application.origin}/goodbye?more=1` })
  const page = await logOut(person, url)
  assert.equal(page.left, undefined)
  assert.ok(!page.html.includes('more=1'))
})

test('without any parameter the person is asked, then told', async () => {
  const shop = await discover('web')
  const person = new Person(server.origin)
  await signIn(shop, person)
  const asked = await person.visit(shop.serverMetadata().end_session_endpoint)
  assert.ok(asked.has('submit'))
  const told = await person.submit(asked, {}, 'submit')
  assert.equal(told.forms.length, 0)
  assert.equal(told.status, 200)
})
