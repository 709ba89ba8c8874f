// Chromium at My security: a person sets up how they sign in, with a passkey made in the browser, and with scripts switched off.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { after, before, test } from 'node:test'

import { accessible } from '../support/accessible.js'
import { holdAuthenticator, openPage, signIn, startBrowser } from '../support/browser.js'
import { startServer } from '../support/server.js'

const people = ['nora', 'otto', 'pia']
const password = 'nine-blue-herons'

/** Everything a person may set up, and people who have set up nothing. */
const change = text =>
  text.replace('registration = "open"', 'registration = "open"\nbypass = { enabled = true }\nquestions = { enabled = true, required = 2 }') +
  people
    .map(
      (name, nth) =>
        `\n[[tenant.users]]\nid = "NW0000NEW${nth}"\nusername = "${name}"\npassword = "${password}"\n[tenant.users.attributes]\nemail = "${name}@northwind.example"\n`,
    )
    .join('')

let server, browser
before(async () => {
  server = await startServer({ dev: true, change })
  browser = await startBrowser()
})
after(async () => {
  await browser?.close()
  await server?.stop()
})

const open = (t, options) => openPage(t, browser, [server.origin], options)

async function home(page, username) {
  await page.goto(server.origin)
  await signIn(page, { username, password })
  await page.locator('[data-page=account]').waitFor()
}

/** RFC 6238, as an authenticator application computes it. */
function code(secret, at = Date.now()) {
  const bits = [...secret.replaceAll(' ', '')].map(letter => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map(byte => parseInt(byte, 2)))
  const step = Buffer.alloc(8)
  step.writeBigUInt64BE(BigInt(Math.floor(at / 30_000)))
  const hash = createHmac('sha1', key).update(step).digest()
  const value = hash.readUInt32BE(hash.at(-1) & 15) & 0x7fffffff
  return String(value % 1_000_000).padStart(6, '0')
}

/** The newest message to somebody of which this holds, once it is there. */
async function message(username, fits) {
  for (;;) {
    const found = (await server.outbox(`${username}@northwind.example`)).filter(fits).at(-1)
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** A code that was sent after `before` of them. */
async function codes(username) {
  const all = (await server.outbox(`${username}@northwind.example`)).filter(({ code }) => code)
  return all.length
}
async function mailed(username, before) {
  while ((await codes(username)) <= before) await new Promise(resolve => setTimeout(resolve, 50))
  return (await message(username, ({ code }) => code)).code
}

const said = async (page, word) => assert.equal(await page.locator('#said').getAttribute('data-said'), word)

test('a passkey is made, named, tried and signs in', async t => {
  const page = await open(t)
  await holdAuthenticator(page)
  await home(page, 'nora')
  await accessible(page)
  await page.locator('#add').click()
  await accessible(page)
  await page.locator('#add-passkey').click()
  await accessible(page)
  await page.locator('#name').fill('Nora’s laptop')
  await page.locator('#passkey').click()
  await said(page, 'added')
  await accessible(page)
  const notice = await message('nora', ({ code }) => !code)
  assert.match(notice.text, /A way to sign in was added\s+Passkey or security key \(Nora’s laptop\)/)

  await page.locator('#sign-out').click()
  await page.locator('[data-page=logged-out]').waitFor()
  await page.goto(`${server.origin}/account`)
  await page.locator('#passkey').click()
  await page.locator('[data-page=account]').waitFor()
  await page.locator('#way-1').click()
  await accessible(page)
  await page.locator('#test').click()
  await said(page, 'works')
  await page.locator('#removing summary').click()
  await accessible(page)
  await page.locator('#remove').click()
  await said(page, 'removed')
})

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? 'with scripts' : 'without scripts'
  const who = javaScriptEnabled ? 'otto' : 'pia'

  test(`an application, an address and recovery codes are set up, ${how}`, async t => {
    const page = await open(t, { javaScriptEnabled })
    await home(page, who)
    await page.locator('#add').click()
    await page.locator('#add-email').click()
    assert.equal(await page.locator('#address').inputValue(), `${who}@northwind.example`)
    await page.locator('#submit').click()
    await page.locator('#code').fill(await mailed(who, 0))
    await page.locator('#submit').click()
    await said(page, 'added')

    // A further change asks who somebody is, by both.
    await page.locator('#add').click()
    await page.locator('#password').fill(password)
    await page.locator('#submit').click()
    await page.locator('#code').fill(await mailed(who, 1))
    await page.locator('#submit').click()
    await page.locator('#add-totp').click()
    if (javaScriptEnabled) await accessible(page)
    await page.locator('#by-hand summary').click()
    await page.locator('#code').fill(code(await page.locator('#secret').innerText()))
    await page.locator('#submit').click()
    await said(page, 'added')

    await page.locator('#codes').click()
    if (javaScriptEnabled) await accessible(page)
    await page.locator('#submit').click()
    assert.equal(await page.locator('#recovery-codes li').count(), 10)
    if (javaScriptEnabled) await accessible(page)
    await page.locator('#done').click()
    for (const tab of ['places', 'applications', 'activity']) {
      await page.locator(`#tab-${tab}`).click()
      await page.locator(`[data-page=account-${tab}]`).waitFor()
      if (javaScriptEnabled) await accessible(page)
    }
  })
}

test('another browser is signed out from here', async t => {
  const page = await open(t)
  const other = await open(t)
  await home(page, 'nora')
  await home(other, 'nora')
  await page.locator('#tab-places').click()
  await accessible(page)
  await page.locator('#end-all').click()
  await said(page, 'ended_others')
  await other.goto(`${server.origin}/account`)
  await other.locator('[data-page=sign-in]').waitFor()
})
