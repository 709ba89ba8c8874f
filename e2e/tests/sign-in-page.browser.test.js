// Chromium at a sign-in page that is not ours: the one in examples/, for the Authenticate API. People come from an application, prove
// who they are there, and return to it.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { holdAuthenticator, openPage, startBrowser } from '../support/browser.js'
import { startServer, until } from '../support/server.js'
import { demonstration, newcomers, pageOrigin, startPage, totp } from '../support/sign-in-page.js'

let server, page, browser, origin
before(async () => {
  origin = await pageOrigin()
  server = await startServer({ dev: true, change: demonstration(origin) })
  page = await startPage(origin, server.origin)
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await page?.stop()
  await server?.stop()
})

const admin = { username: 'admin@oracle.com', password: 'Welc0me@1' }
const [ina, otto] = newcomers
const joe = { username: 'joe@oracle.com', password: 'Welc0me@2' }

// A refused step is a 401, which browsers note; and where people arrive there is no icon.
const open = t => openPage(t, browser, [server.origin, origin], { tolerated: [/status of 40[014]/] })

async function comeFrom(tab, client) {
  const query = new URLSearchParams({
    client_id: client,
    response_type: 'code',
    scope: 'openid',
    state: '77',
    redirect_uri: `${server.origin}/dev/callback`,
  })
  await tab.goto(`${server.origin}/oauth2/v1/authorize?${query}`)
  await tab.locator('input[name=username]').waitFor()
  assert.equal(new URL(tab.url()).origin, origin)
}

async function signIn(tab, { username, password }) {
  await tab.locator('input[name=username]').fill(username)
  await tab.locator('input[name=password]').fill(password)
  await tab.getByRole('button', { name: 'Sign in' }).click()
}

async function arrives(tab) {
  await tab.waitForURL(url => url.pathname === '/dev/callback')
  const came = new URL(tab.url()).searchParams
  assert.equal(came.get('state'), '77')
  assert.ok(came.get('code'))
}

async function type(tab, code) {
  await tab.locator('input[name=otpCode]').fill(code)
  await tab.getByRole('button', { name: 'Go on' }).click()
}

/** The newest code that was sent to somebody, once there are more than before. */
async function mailed(to, before) {
  let messages
  assert.ok(await until(async () => (messages = await server.outbox(to)).length > before), `no message to ${to}`)
  return messages.at(-1)
}

test('a password brings people back to their application, and a wrong one does not', async t => {
  const tab = await open(t)
  await comeFrom(tab, 'timesheets')
  await signIn(tab, { ...admin, password: 'not it' })
  await tab.locator('#problem:not(:empty)').waitFor()
  await signIn(tab, admin)
  await arrives(tab)
  // Who is signed in is not sent round again.
  const query = new URLSearchParams({ client_id: 'timesheets', response_type: 'code', scope: 'openid', state: '77', redirect_uri: `${server.origin}/dev/callback` })
  await tab.goto(`${server.origin}/oauth2/v1/authorize?${query}`)
  await arrives(tab)
})

test('an authenticator is set up on the way, and each of its codes signs in once', async t => {
  const tab = await open(t)
  await comeFrom(tab, 'payroll')
  await signIn(tab, ina)
  await tab.locator('#enrol-TOTP').click()
  const key = await tab.locator('#key').innerText()
  await type(tab, '000000')
  await tab.locator('#problem:not(:empty)').waitFor()
  await type(tab, totp(key))
  await tab.locator('#finish').click()
  await arrives(tab)

  const second = await open(t)
  await comeFrom(second, 'payroll')
  await signIn(second, ina)
  await second.locator('input[name=otpCode]').waitFor()
  // The code that set it up is spent.
  await type(second, totp(key, 1))
  await arrives(second)

  const third = await open(t)
  await comeFrom(third, 'payroll')
  await signIn(third, ina)
  await third.locator('#other').click()
  await third.locator('#way-TOTP').click()
  // A code that was used is no code.
  await type(third, totp(key, 1))
  await third.locator('#problem:not(:empty)').waitFor()
})

test('a passkey is made on the way, and signs in the next time', async t => {
  const tab = await open(t)
  await holdAuthenticator(tab)
  await comeFrom(tab, 'payroll')
  await signIn(tab, otto)
  await tab.locator('#enrol-FIDO_AUTHENTICATOR').click()
  await tab.locator('#make').click()
  await tab.locator('#finish').click()
  await arrives(tab)
  await tab.context().clearCookies()
  await comeFrom(tab, 'payroll')
  await signIn(tab, otto)
  await tab.getByRole('button', { name: 'Use your passkey' }).click()
  await arrives(tab)
})

test('mail is set up on the way, and its codes are the second factor from then on', async t => {
  const tab = await open(t)
  const before = (await server.outbox(joe.username)).length
  await comeFrom(tab, 'payroll')
  await signIn(tab, joe)
  await tab.locator('#enrol-EMAIL').click()
  await tab.locator('input[name=otpCode]').waitFor()
  const { code } = await mailed(joe.username, before)
  await type(tab, code === '000000' ? '111111' : '000000')
  await tab.locator('#problem:not(:empty)').waitFor()
  await type(tab, code)
  await tab.locator('#finish').click()
  await arrives(tab)

  const second = await open(t)
  const sent = (await server.outbox(joe.username)).length
  await comeFrom(second, 'payroll')
  await signIn(second, joe)
  await second.locator('input[name=otpCode]').waitFor()
  await type(second, (await mailed(joe.username, sent)).code)
  await arrives(second)
})

test('a forgotten password is replaced by what comes by mail', async t => {
  const tab = await open(t)
  await comeFrom(tab, 'timesheets')
  await tab.locator('#forgotten').click()
  await tab.locator('input[name=username]').fill(joe.username)
  await tab.getByRole('button', { name: 'Go on' }).click()
  const before = (await server.outbox(joe.username)).length
  await tab.locator('#by-email').click()
  const message = await mailed(joe.username, before)
  await tab.locator('input[name=token]').fill(message.code ?? /token=([^\s&]+)/.exec(message.text)[1])
  await tab.getByRole('button', { name: 'Go on' }).click()
  const fresh = { ...joe, password: 'a quite different phrase 7' }
  await tab.locator('input[name=password]').fill(fresh.password)
  await tab.getByRole('button', { name: 'Save' }).click()
  await tab.locator('input[name=username]').waitFor()
  await signIn(tab, joe)
  await tab.locator('#problem:not(:empty)').waitFor()
})
