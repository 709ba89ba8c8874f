// The web phone in Chromium: set up from a code and from a link, asked by sign-ins, and answering them. Its keys stay where they
// are, its policy holds, and it opens without a network.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'

import * as client from 'openid-client'

import { startApplication } from '../support/application.js'
import { openPage, signIn, startBrowser } from '../support/browser.js'
import { startServer } from '../support/server.js'
import { alice } from '../support/sign-in.js'

/** A desk that invites phones and asks them; and the second factor of the vault is a phone. */
const change = text =>
  text
    .replace('[tenant.settings]', '[tenant.settings]\npush = { enabled = true, number_match = true, qr = true, per_hour = 1000 }')
    .replace('authnMethods = ["emailotp"]', 'enrolment = "required", authnMethods = ["signatures"]')
    .concat(`
[[tenant.users]]
id = "NW00000ZO4"
username = "zoe"
password = "zebra-crossing-1"

[[tenant.clients]]
id = "desk"
name = "Desk"
secret = "desk-secret"
grant_types = ["client_credentials"]
entitlements = ["authnAnyUser", "manageEnrollMFAMethodAnyUser", "readEnrollMFAMethodAnyUser"]
`)

let server, application, browser
before(async () => {
  application = await startApplication()
  server = await startServer({ dev: true, application: application.origin, backend: application.backend, change })
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
  await application?.stop()
})

const owner = 'NW00000AL1'

async function desk() {
  const body = new URLSearchParams({ client_id: 'desk', client_secret: 'desk-secret', grant_type: 'client_credentials' })
  const { access_token: token } = await (await fetch(`${server.origin}/token`, { method: 'POST', body })).json()
  return async (method, path, body) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
    const response = await fetch(server.origin + path, { method, headers, body: body && JSON.stringify(body) })
    assert.ok(response.ok, `${method} ${path}: ${response.status}`)
    return response.status === 204 ? undefined : response.json()
  }
}

const invite = async call => JSON.stringify(await call('POST', '/v1.0/authenticators/initiation', { owner, accountName: 'alice' }))

/** A fresh phone, set up, with the calls of the desk and of its own place among them. */
async function phone(t, options) {
  const page = await openPage(t, browser, [server.origin], options)
  const call = await desk()
  await page.goto(`${server.origin}/phone`)
  await page.locator('#invitation').fill(await invite(call))
  await page.locator('#name').fill('Kitchen tablet')
  await page.locator('#register').click()
  await page.locator('#view-home:not([hidden])').waitFor()
  const id = await page.locator('#accounts li').getAttribute('data-account')
  t.after(() => call('DELETE', `/v1.0/authenticators/${id}`).catch(() => {}))
  const path = `/v1.0/authenticators/${id}/verifications`
  const method = async () => {
    const { factors } = await call('GET', `/v2.0/factors?search=${encodeURIComponent(`userId="${owner}"`)}`)
    return factors.find(one => one.references?.authenticatorId === id)
  }
  return {
    page,
    call,
    method,
    ask: async (more = {}) =>
      call('POST', path, { authenticationMethods: [{ id: (await method()).id, methodType: 'signature' }], ...more }),
    state: async ({ id }) => (await call('GET', `${path}/${id}`)).state,
  }
}

const seen = (page, view) => page.locator(`#view-${view}:not([hidden])`).waitFor()

const require = createRequire(import.meta.url)
const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')

/** WCAG 2.1 AA in light, in dark and on a narrow screen. Evaluated by the DevTools: the page itself lets nothing in. */
async function accessible(page) {
  for (const [colorScheme, width] of [['light', 1280], ['dark', 1280], ['light', 320]]) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width, height: 800 })
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }))
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${colorScheme}, ${width}`)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(wide <= width, `${wide} wide on ${width}`)
  }
}

test('a person sets the phone up and approves with the number of the other screen', async t => {
  const { page, ask, state } = await phone(t)
  await page.locator('#state.on').waitFor()
  const asked = await ask({
    transactionData: {
      message: 'Pay Acme 5 euros?',
      originIpAddress: '192.0.2.4',
      additionalData: [{ name: 'Amount', value: '5 <b>EUR</b>' }],
    },
  })
  await seen(page, 'request')
  assert.equal(await page.locator('#request-title').innerText(), 'Pay Acme 5 euros?')
  const facts = await page.locator('#request-facts').innerText()
  for (const part of ['alice', 'Amount', '5 <b>EUR</b>', '192.0.2.4']) assert.ok(facts.includes(part), facts)
  assert.ok(await page.title().then(title => title.startsWith('(1) ')))
  await page.locator('#approve').click()
  await page.locator('#problem:not([hidden])').waitFor()
  await page.locator('#number').fill(asked.numberMatch)
  await page.locator('#approve').click()
  await page.locator('#view-done[data-outcome=approved]:not([hidden])').waitFor()
  assert.equal(await state(asked), 'VERIFY_SUCCESS')
  await page.locator('#done').click()
  await seen(page, 'home')
})

test('a wrong number, a denial and a report are no approvals', async t => {
  const { page, ask, state } = await phone(t, { tolerated: [/status of 400/] })
  for (const [button, outcome, expected] of [
    ['#approve', 'wrong', 'VERIFY_FAILED'],
    ['#deny', 'denied', 'USER_DENIED'],
    ['#fraud', 'reported', 'USER_FRAUDULENT'],
  ]) {
    const asked = await ask()
    await seen(page, 'request')
    await page.locator('#number').fill(asked.numberMatch === '11' ? '12' : '11')
    await page.locator(button).click()
    await page.locator(`#view-done[data-outcome=${outcome}]:not([hidden])`).waitFor()
    assert.equal(await state(asked), expected)
    await page.locator('#done').click()
  }
})

test('the key cannot be taken out, and is exchanged', async t => {
  const { page, ask, method, state } = await phone(t)
  const taken = await page.evaluate(async () => {
    const opened = await new Promise(resolve => {
      const request = indexedDB.open('countersign-phone')
      request.onsuccess = () => resolve(request.result)
    })
    const all = await new Promise(resolve => {
      const request = opened.transaction('accounts').objectStore('accounts').getAll()
      request.onsuccess = () => resolve(request.result)
    })
    opened.close()
    const { privateKey } = all[0].pair
    const formats = await Promise.allSettled(['pkcs8', 'jwk'].map(format => crypto.subtle.exportKey(format, privateKey)))
    return [privateKey.extractable, ...formats.map(({ status }) => status)]
  })
  assert.deepEqual(taken, [false, 'rejected', 'rejected'])
  const before = await method()
  await page.locator('[data-act=exchange]').click()
  await page.locator('#view-done[data-outcome=exchanged]:not([hidden])').waitFor()
  assert.notEqual((await method()).id, before.id)
  await page.locator('#done').click()
  const asked = await ask()
  await seen(page, 'request')
  await page.locator('#number').fill(asked.numberMatch)
  await page.keyboard.press('Enter')
  await page.locator('#view-done[data-outcome=approved]:not([hidden])').waitFor()
  assert.equal(await state(asked), 'VERIFY_SUCCESS')
})

test('it is set up by a link, opens without a network, and is removed', async t => {
  const page = await openPage(t, browser, [server.origin], { tolerated: [/ERR_INTERNET_DISCONNECTED/, /status of 401/] })
  const call = await desk()
  const link = `${server.origin}/phone#register=${Buffer.from(await invite(call)).toString('base64url')}`
  await page.goto(link)
  await seen(page, 'add')
  assert.equal(await page.locator('#invited-account').innerText(), 'alice')
  assert.ok(!page.url().includes('#'), 'the code is not left in the address')
  await page.locator('#register').click()
  await seen(page, 'home')
  await page.evaluate(() => navigator.serviceWorker.ready)
  const manifest = await page.evaluate(async () => (await fetch(document.querySelector('link[rel=manifest]').href)).json())
  assert.deepEqual([manifest.start_url, manifest.display, manifest.name], ['/phone', 'standalone', 'Northwind'])

  // Everything it says of a lost network is meant.
  await page.context().setOffline(true)
  await page.reload()
  await seen(page, 'home')
  await page.locator('#state.off').waitFor()
  await page.context().setOffline(false)
  await page.locator('#state.on').waitFor()

  // A code is good once.
  await page.goto(link)
  await page.locator('#register').click()
  await page.locator('#problem:not([hidden])').waitFor()
  await page.locator('#add-cancel').click()

  await page.locator('[data-act=remove]').click()
  await page.locator('#remove').click()
  await page.locator('#view-done[data-outcome=removed]:not([hidden])').waitFor()
  await page.locator('#done').click()
  await seen(page, 'add')
  assert.equal((await call('GET', `/v1.0/authenticators?owner=${owner}`)).total, 0)
})

/** Opens the sign-in page of the vault; what is redeemed once the browser has arrived there. */
async function atVault(page) {
  application.forget()
  const config = await client.discovery(new URL(server.origin), 'vault', undefined, client.ClientSecretBasic('vault-secret'), {
    execute: [client.allowInsecureRequests],
  })
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: `${application.origin}/callback`,
    scope: 'openid',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  await page.goto(url.href)
  return async () => {
    await page.locator('#arrived').waitFor()
    const { url: landed } = await application.visited('/callback')
    const tokens = await client.authorizationCodeGrant(config, landed, { pkceCodeVerifier, idTokenExpected: true })
    return tokens.claims()
  }
}

test('a person signs in on another screen', async t => {
  const { page: held } = await phone(t)
  const page = await openPage(t, browser, [server.origin, application.origin])
  const arrived = await atVault(page)
  await signIn(page, alice)
  const number = (await page.locator('#number').innerText()).trim()
  await seen(held, 'request')
  assert.match(await held.locator('#request-title').innerText(), /Vault/)
  await held.locator('#number').fill(number)
  await held.locator('#approve').click()
  assert.equal((await arrived()).sub, owner)
})

const zoe = { username: 'zoe', password: 'zebra-crossing-1' }

test('a phone is set up on the way in, and counts at once', async t => {
  const page = await openPage(t, browser, [server.origin, application.origin])
  const arrived = await atVault(page)
  await signIn(page, zoe)
  await page.locator('#add-phone').click()
  await page.locator('#picture svg').waitFor()
  // Both pictures are there, and the text for who has no camera at all.
  await page.locator('#by-camera summary').click()
  await page.locator('#link-picture svg').waitFor()
  await page.locator('#by-hand summary').click()
  assert.match(await page.locator('#by-hand').innerText(), new RegExp(`${server.origin}/phone`))
  assert.ok(JSON.parse(await page.locator('#invitation').innerText()).code)
  const [held] = await Promise.all([page.context().waitForEvent('page'), page.locator('#here').click()])
  await held.locator('#register').click()
  await seen(held, 'home')
  const claims = await arrived()
  assert.deepEqual(claims.amr, ['mfa', 'pop', 'pwd', 'user'])
  assert.equal(claims.sub, 'NW00000ZO4')
  const call = await desk()
  const id = await held.locator('#accounts li').getAttribute('data-account')
  await call('DELETE', `/v1.0/authenticators/${id}`)
})

test('the page that invites a phone can be read by everybody', async t => {
  const page = await openPage(t, browser, [server.origin, application.origin], { bypassCSP: true })
  await atVault(page)
  await signIn(page, zoe)
  await page.locator('#add-phone').click()
  await page.locator('#picture svg').waitFor()
  for (const summary of ['#by-camera summary', '#by-hand summary']) await page.locator(summary).click()
  await accessible(page)
})

/** A camera that sees what the test holds up, in a browser that reads pictures. */
const camera = () => {
  globalThis.BarcodeDetector = class {
    async detect() {
      return globalThis.held ? [{ rawValue: 'https://elsewhere.example' }, { rawValue: globalThis.held }] : []
    }
  }
  navigator.mediaDevices.getUserMedia = async () => {
    if (globalThis.refused) throw new DOMException('no', 'NotAllowedError')
    const canvas = document.createElement('canvas')
    const context = canvas.getContext('2d')
    setInterval(() => context.fillRect(0, 0, 9, 9), 40)
    return (globalThis.stream = canvas.captureStream(25))
  }
}

test('the camera finds an invitation, and who has none is told what to do', async t => {
  const page = await openPage(t, browser, [server.origin], { bypassCSP: true })
  const call = await desk()
  // This browser reads no pictures: it says where the text is.
  await page.goto(`${server.origin}/phone`)
  await seen(page, 'add')
  assert.ok(await page.locator('#camera').isHidden())
  assert.match(await page.locator('#invitation-hint').innerText(), /paste/)
  await accessible(page)
  await page.addInitScript(camera)
  await page.reload()
  await page.evaluate(() => (globalThis.refused = true))
  await page.locator('#scan').click()
  await page.locator('#problem:not([hidden])').waitFor()
  assert.match(await page.locator('#problem').innerText(), /camera/)
  await page.evaluate(() => (globalThis.refused = false))
  await page.locator('#scan').click()
  await page.locator('#viewfinder').waitFor()
  await accessible(page)
  await page.locator('#scan-stop').click()
  assert.ok(await page.evaluate(() => globalThis.stream.getTracks().every(track => track.readyState === 'ended')))
  await page.locator('#scan').click()
  await page.locator('#viewfinder').waitFor()
  await page.evaluate(text => (globalThis.held = text), await invite(call))
  await page.locator('#invited:not([hidden])').waitFor()
  assert.equal(await page.locator('#invited-account').innerText(), 'alice')
  assert.ok(await page.evaluate(() => globalThis.stream.getTracks().every(track => track.readyState === 'ended')))
  await page.locator('#register').click()
  await seen(page, 'home')
  const id = await page.locator('#accounts li').getAttribute('data-account')
  await call('DELETE', `/v1.0/authenticators/${id}`)
})

test('what is installed has a name, a page of its own and icons of both kinds', async t => {
  const page = await openPage(t, browser, [server.origin])
  await page.goto(`${server.origin}/phone`)
  const icons = await page.evaluate(async () => {
    const manifest = await (await fetch(document.querySelector('link[rel=manifest]').href)).json()
    const home = document.querySelector('link[rel=apple-touch-icon]').href
    const size = async src => {
      const image = new Image()
      image.src = src
      await image.decode()
      return [new URL(src, location).pathname, image.naturalWidth]
    }
    return Promise.all([...manifest.icons.map(({ src }) => src), home].map(size))
  })
  const png = icons.filter(([path]) => path === '/phone/icon.png')
  assert.ok(icons.some(([path]) => path === '/phone/icon.svg') && png.length === 2 && png.every(([, width]) => width === 192), icons)
})

test('what it shows can be read by everybody', async t => {
  const { page, ask } = await phone(t, { bypassCSP: true })
  await accessible(page)
  await page.locator('#add').click()
  await accessible(page)
  await page.locator('#add-cancel').click()
  await page.locator('[data-act=remove]').click()
  await accessible(page)
  await page.locator('#remove-cancel').click()
  await ask({ transactionData: { message: 'Sign in?', originUserAgent: 'Firefox' } })
  await seen(page, 'request')
  await accessible(page)
  await page.locator('#deny').click()
  await seen(page, 'done')
  await accessible(page)
})
