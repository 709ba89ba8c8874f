// Chromium at the session frame: an application's page asks a frame of the server whether the person is still signed in.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
import { openPage, signIn, startBrowser } from '../support/browser.js'
import { startServer } from '../support/server.js'
import { alice } from '../support/sign-in.js'

let server, application, browser
before(async () => {
  application = await startApplication()
  server = await startServer({ application: application.origin, backend: application.backend })
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
  await application?.stop()
})

/** In the application's page: a message to the frame, and what it answers. */
function ask(page, message) {
  return page.evaluate(
    ([message, target]) =>
      new Promise(resolve => {
        addEventListener('message', ({ origin, data }) => resolve({ origin, data }), { once: true })
        document.querySelector('iframe').contentWindow.postMessage(message, target)
      }),
    [message, server.origin],
  )
}

test('the frame tells whether the session is the one the application knows', async t => {
  const config = await client.discovery(new URL(server.origin), 'watcher', undefined, client.ClientSecretBasic('watcher-secret'))
  const { check_session_iframe, end_session_endpoint } = config.serverMetadata()
  const url = client.buildAuthorizationUrl(config, { redirect_uri: `${application.backend}/callback`, scope: 'openid' })
  // The certificate is that of the tests; Node was told to trust it, Chromium is told not to mind.
  const page = await openPage(t, browser, [server.origin, application.backend], { ignoreHTTPSErrors: true })
  await page.goto(url.href)
  await signIn(page, alice)
  await page.locator('#arrived').waitFor()
  const state = new URL(page.url()).searchParams.get('session_state')
  assert.match(state, /^[^ ]+$/)
  const arrived = page.url()

  await page.evaluate(
    src =>
      new Promise((resolve, reject) => {
        const frame = Object.assign(document.createElement('iframe'), { src, onload: resolve, onerror: reject })
        document.body.append(frame)
      }),
    check_session_iframe,
  )
  const answers = async (message, data) => assert.deepEqual(await ask(page, message), { origin: server.origin, data })
  await answers(`watcher ${state}`, 'unchanged')
  await answers(`web ${state}`, 'changed')
  await answers('not a message of this kind', 'error')

  // Logged out elsewhere in the same browser, while the application's page stays open.
  const other = await page.context().newPage()
  await other.goto(end_session_endpoint)
  await other.locator('#submit').click()
  await other.locator('#outcome').waitFor()
  assert.equal(page.url(), arrived)
  await answers(`watcher ${state}`, 'changed')
})
