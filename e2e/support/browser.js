// A real browser: Chromium, without a window, with a profile of its own.

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

/** The passkey of the person `pat` in tenant.toml. Public, like everything there. */
const passkey = {
  credentialId: 'pKNTVykgUTIT49SceMx0rA',
  privateKey: 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg9RoHOTQ7mrmubnDX8jO3v5RR2pnAeLKUgSIGkKSh59qhRANCAASoDLLfqVpyigOKmvLdvX0KxfoM3B0RV6Dig6zhOnN7p6SvMHSY/hRLghHz1ddrNhOvEhCzSJATG/8tj5QpbxTj',
  userHandle: 'NW00000PA2',
}

/**
 * A platform authenticator in a page's browser that needs no finger: the Chrome DevTools Protocol's own. It holds the passkey of
 * `pat`.
 */
export async function holdPasskey(page) {
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
