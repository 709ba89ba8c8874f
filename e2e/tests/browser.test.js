// Chromium at the pages: what only a real browser shows. Content security policies at work, scripts, frames, passkeys, focus,
// and that all of it works with scripts switched off.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import * as client from 'openid-client'

import { accessible } from '../support/accessible.js'
import { startApplication } from '../support/application.js'
import { holdPasskey, openPage, signIn, startBrowser } from '../support/browser.js'
import { startServer } from '../support/server.js'
import { alice } from '../support/sign-in.js'

let server, application, browser
before(async () => {
  application = await startApplication()
  server = await startServer({ dev: true, application: application.origin, backend: application.backend })
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
  await application?.stop()
})

const discover = (id, authentication = client.ClientSecretBasic(`${id}-secret`)) =>
  // Plain HTTP on loopback, which the library wants to be told.
  client.discovery(new URL(server.origin), id, undefined, authentication, { execute: [client.allowInsecureRequests] })

const CALLBACK = '/callback'

async function request(config, parameters = {}) {
  const pkceCodeVerifier = client.randomPKCECodeVerifier()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: application.origin + CALLBACK,
    scope: 'openid profile',
    code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: 'a state',
    ...parameters,
  })
  return { url: url.href, expected: { pkceCodeVerifier, expectedState: 'a state' } }
}

/** Consent is remembered; these tests want to see it. */
const asked = { prompt: 'consent' }

function open(t, options) {
  application.forget()
  return openPage(t, browser, [server.origin, application.origin], options)
}

const password = (page, who = alice) => signIn(page, who)

async function redeem(config, expected) {
  const { url } = await application.visited(CALLBACK)
  return client.authorizationCodeGrant(config, url, { ...expected, idTokenExpected: true })
}

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with scripts' : 'without scripts'

  test(`password and consent, ${how}`, async t => {
    const page = await open(t, { javaScriptEnabled })
    const config = await discover('calendar')
    const { url, expected } = await request(config, asked)
    await page.goto(url)
    assert.equal(await page.locator('#client').innerText(), 'to continue to Calendar')
    await password(page, { ...alice, password: 'not hers' })
    await page.locator('#error').waitFor()
    assert.equal(await page.locator('#username').inputValue(), 'alice')
    await password(page)
    await page.locator('#allow').click()
    await page.locator('#arrived').waitFor()
    assert.ok((await redeem(config, expected)).claims().sub)
    assert.ok(!page.url().includes('#'), 'nothing is left over in the address')
  })

  test(`form_post, ${how}`, async t => {
    const page = await open(t, { javaScriptEnabled })
    const config = await discover('web')
    const { url, expected } = await request(config, { response_mode: 'form_post' })
    await page.goto(url)
    await password(page)
    // With scripts it goes on by itself.
    if (!javaScriptEnabled) await page.locator('#submit').click()
    await page.locator('#arrived').waitFor()
    const { method, body } = await application.visited(CALLBACK)
    assert.equal(method, 'POST')
    const answer = new Request(application.origin + CALLBACK, { method, body })
    assert.ok((await client.authorizationCodeGrant(config, answer, expected)).access_token)
  })

  test(`a device is approved, ${how}`, async t => {
    const page = await open(t, { javaScriptEnabled })
    const config = await discover('television', client.None())
    const shown = await client.initiateDeviceAuthorization(config, { scope: 'openid' })
    const polling = client.pollDeviceAuthorizationGrant(config, shown)
    polling.catch(() => {})
    await page.goto(shown.verification_uri)
    if (await page.locator('#password').count()) await password(page)
    await page.locator('input#user_code').fill(shown.user_code)
    await page.locator('#submit').click()
    if (await page.locator('#password').count()) await password(page)
    await page.locator('#warning').waitFor()
    await page.locator('#allow').click()
    assert.ok((await polling).access_token)
  })

  test(`logging out tells the other application in a frame, ${how}`, async t => {
    const page = await open(t, { javaScriptEnabled })
    const [calendar, shop] = [await discover('calendar'), await discover('web')]
    const first = await request(calendar, asked)
    await page.goto(first.url)
    await password(page)
    await page.locator('#allow').click()
    await page.locator('#arrived').waitFor()
    const sid = (await redeem(calendar, first.expected)).claims().sid
    const second = await request(shop)
    await page.goto(second.url)
    const { id_token } = await redeem(shop, second.expected)

    const url = client.buildEndSessionUrl(shop, { id_token_hint: id_token, post_logout_redirect_uri: `${application.origin}/goodbye`, state: 's' })
    await page.goto(url.href)
    if (await page.locator('form #submit').count()) await page.locator('#submit').click()
    const { url: told } = await application.visited('/frontchannel')
    assert.equal(told.searchParams.get('sid'), sid)
    assert.equal(told.searchParams.get('iss'), server.origin)
    const { url: end } = await application.visited('/goodbye')
    assert.equal(end.search, '?state=s')
  })
}

test('a passkey, by the button beside the password', async t => {
  const page = await open(t)
  const passkey = await holdPasskey(page)
  const config = await discover('web')
  const { url, expected } = await request(config)
  await page.goto(url)
  await page.locator('#passkey').click()
  await page.locator('#arrived').waitFor()
  const claims = (await redeem(config, expected)).claims()
  assert.ok(claims.amr.some(method => /fido|hwk|swk|pop|user/i.test(method)), claims.amr)
  assert.ok((await passkey.signCount()) >= 1)
})

test('a code by mail as the second factor', async t => {
  const page = await open(t)
  const config = await discover('vault')
  const { url, expected } = await request(config)
  await page.goto(url)
  await password(page)
  const code = page.locator('#code')
  await code.waitFor()
  assert.equal(await code.getAttribute('autocomplete'), 'one-time-code')
  const [message] = (await server.outbox('alice@northwind.example')).slice(-1)
  await code.fill(message.code)
  await page.locator('#submit').click()
  await page.locator('#arrived').waitFor()
  assert.ok((await redeem(config, expected)).claims().amr.length >= 2)
})

test('every page on the way is accessible, in light, dark and narrow', async t => {
  const page = await open(t)
  const { url } = await request(await discover('calendar'), asked)
  await page.goto(url)
  await accessible(page)
  await password(page, { ...alice, password: 'not hers' })
  await page.locator('#error').waitFor()
  await accessible(page)
  await password(page)
  await page.locator('#allow').waitFor()
  await accessible(page)
  await page.goto(`${server.origin}/authorize?client_id=nobody`)
  await accessible(page)
})

test('the pages speak the language asked for', async t => {
  const page = await open(t)
  const { url } = await request(await discover('web'), { ui_locales: 'de' })
  await page.goto(url)
  assert.equal(await page.locator('html').getAttribute('lang'), 'de')
  assert.equal(await page.locator('label[for=password]').innerText(), 'Passwort')
})

test('an account is chosen among those signed in', async t => {
  const page = await open(t)
  const config = await discover('web')
  const first = await request(config)
  await page.goto(first.url)
  await password(page)
  await page.locator('#arrived').waitFor()
  const { sub } = (await redeem(config, first.expected)).claims()

  const second = await request(config, { prompt: 'select_account' })
  await page.goto(second.url)
  await accessible(page)
  await page.locator('#account-1').click()
  await page.locator('#arrived').waitFor()
  assert.equal((await redeem(config, second.expected)).claims().sub, sub)

  const third = await request(config, { prompt: 'select_account' })
  await page.goto(third.url)
  await page.locator('#other').click()
  await password(page, { username: 'pat', password: 'correct-horse-9' })
  await page.locator('#arrived').waitFor()
  assert.notEqual((await redeem(config, third.expected)).claims().sub, sub)
})
