// `openid-client` on a device without a browser, and a person with one elsewhere.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import * as client from 'openid-client'

import { Person } from '../support/person.js'
import { startServer } from '../support/server.js'
import { answer } from '../support/sign-in.js'

let server
before(async () => (server = await startServer()))
after(() => server?.stop())

const discover = (id, authentication = client.ClientSecretBasic(`${id}-secret`)) =>
  client.discovery(new URL(server.origin), id, undefined, authentication)

test('a device: code shown, typed, confirmed, and the tokens are fetched', async () => {
  const config = await discover('television', client.None())
  const shown = await client.initiateDeviceAuthorization(config, { scope: 'openid profile' })
  assert.ok(shown.verification_uri_complete.includes(encodeURIComponent(shown.user_code)))
  const polling = client.pollDeviceAuthorizationGrant(config, shown)
  polling.catch(() => {})

  const person = new Person(server.origin)
  let page = await person.visit(shown.verification_uri)
  while (!page.has('user_code')) page = await answer(person, page)
  if (page.forms[0].names.has('user_code')) page = await person.submit(page, { user_code: shown.user_code.toLowerCase() }, 'submit')
  while (!page.has('allow')) page = await answer(person, page)
  assert.ok(page.text.includes('Television') && page.text.includes(shown.user_code))
  const done = await person.submit(page, {}, 'allow')
  assert.equal(done.status, 200)

  const tokens = await polling
  const userinfo = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
  assert.equal(userinfo.name, 'Alice Pleasance Liddell')
  assert.ok((await client.refreshTokenGrant(config, tokens.refresh_token)).access_token)
})

test('a device whose person says no is told so', async () => {
  const config = await discover('television', client.None())
  const shown = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
  const polling = client.pollDeviceAuthorizationGrant(config, shown)
  polling.catch(() => {})
  const person = new Person(server.origin)
  let page = await person.visit(shown.verification_uri_complete)
  while (!page.has('deny')) page = await answer(person, page)
  await person.submit(page, {}, 'deny')
  await assert.rejects(polling, { error: 'access_denied' })
})
