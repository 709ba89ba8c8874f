// A real browser: Chromium, without a window, with a profile of its own.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'

import { chromium } from 'playwright-core'

const candidates = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Starts it. It talks to nobody but who a test names. */
export function startBrowser() {
  const executablePath = process.env.COUNTERSIGN_CHROMIUM ?? candidates.find(existsSync)
  return chromium.launch({
    executablePath,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-proxy-server',
    ],
  })
}

/**
 * A page in a fresh profile. Whatever it complains about, and whomever else than these origins it asks, fails the test. A test
 * that breaks something itself names what is `tolerated` then.
 */
export async function openPage(t, browser, origins, { tolerated = [], ...options } = {}) {
  const context = await browser.newContext({ locale: 'en-GB', ...options })
  context.setDefaultTimeout(15_000)
  const page = await context.newPage()
  const complaints = []
  page.on('console', message => {
    // A page that refuses says so by its status as well, and that is told here.
    const refused = /^Failed to load resource: .* status of 400/.test(message.text()) && message.location().url === page.url()
    const meant = tolerated.some(one => one.test(message.text()))
    if (message.type() === 'error' && !refused && !meant) complaints.push(message.text())
  })
  page.on('pageerror', error => complaints.push(error.message))
  page.on('request', request => {
    const { protocol, origin } = new URL(request.url())
    if (protocol.startsWith('http') && !origins.includes(origin)) complaints.push(`asked ${request.url()}`)
  })
  t.after(async () => {
    await context.close()
    assert.deepEqual(complaints, [])
  })
  return page
}

/** Types a password and sends it. */
export async function signIn(page, { username, password }) {
  await page.locator('#username').fill(username)
  await page.locator('#password').fill(password)
  await page.locator('#submit').click()
}

/** The passkey of the person `pat` in tenant.toml. Public, like everything there. */
const passkey = {
  credentialId: 'pKNTVykgUTIT49SceMx0rA',
  privateKey: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9RoHOTQ7mrmubnDX8jO3v5RR2pnAeLKUgSIGkKSh59qhRANCAASoDLLfqVpyigOKmvLdvX0KxfoM3B0RV6Dig6zhOnN7p6SvMHSY/hRLghHz1ddrNhOvEhCzSJATG/8tj5QpbxTj',
  userHandle: 'NW00000PA2',
}

/** A platform authenticator in a page's browser that needs no finger: the Chrome DevTools Protocol's own. It holds nothing yet. */
export async function holdAuthenticator(page) {
  const devtools = await page.context().newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return { devtools, authenticatorId }
}

/** The same, with the passkey of `pat` in it. */
export async function holdPasskey(page) {
  const { devtools, authenticatorId } = await holdAuthenticator(page)
  const base64 = text => Buffer.from(text, 'base64url').toString('base64')
  await devtools.send('WebAuthn.addCredential', {
    authenticatorId,
    credential: {
      credentialId: base64(passkey.credentialId),
      isResidentCredential: true,
      rpId: 'localhost',
      privateKey: passkey.privateKey,
      userHandle: Buffer.from(passkey.userHandle).toString('base64'),
      signCount: 1,
    },
  })
  return {
    /** How often it has signed. */
    signCount: async () => (await devtools.send('WebAuthn.getCredentials', { authenticatorId })).credentials[0].signCount - 1,
  }
}
