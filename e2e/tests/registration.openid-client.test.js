// `openid-client` as an application that registers itself.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
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

const discover = (id, authentication = client.ClientSecretBasic(`${id}-secret`)) =>
  client.discovery(new URL(server.origin), id, undefined, authentication)

test('an application that registers itself signs people in a moment later', async () => {
  const redirect_uri = `${application.backend}/callback`
  const metadata = { redirect_uris: [redirect_uri], client_name: 'Newcomer', token_endpoint_auth_method: 'client_secret_post', unheard_of: true }
  const config = await client.dynamicClientRegistration(new URL(server.origin), metadata)
  const registered = config.clientMetadata()
  assert.equal(registered.client_name, 'Newcomer')
  assert.deepEqual(registered.redirect_uris, [redirect_uri])
  assert.equal(registered.unheard_of, undefined)

  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const arrived = await passThrough(new Person(server.origin), url)
  const tokens = await client.authorizationCodeGrant(config, arrived.url, { pkceCodeVerifier, idTokenExpected: true })
  assert.equal(tokens.claims().aud, registered.client_id)

  const manage = { headers: { authorization: `Bearer ${registered.registration_access_token}` } }
  const read = await fetch(registered.registration_client_uri, manage)
  assert.equal((await read.json()).client_id, registered.client_id)
  assert.equal((await fetch(registered.registration_client_uri, { ...manage, method: 'DELETE' })).status, 204)
  assert.equal((await fetch(registered.registration_client_uri, manage)).status, 401)
})
