// The key of the clients that prove themselves with one.

import { createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { directory } from './server.js'

/** The private half of what `machine-key`, `bank` and `signer` are registered with. */
export async function machineKey() {
  const jwk = createPrivateKey(await readFile(join(directory, '../demo/reporting-service.pem'))).export({ format: 'jwk' })
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
  return { key, kid: 'reporting-1' }
}
