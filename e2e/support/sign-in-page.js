// The sign-in page of examples/, as anybody would run it, and the demonstration tenant it is made for.

import { spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'

import { directory, until } from './server.js'

const example = join(directory, '../examples/sign-in-page/server.mjs')

/** People who have nothing but a password. */
export const newcomers = [
  { id: '6040003INA', username: 'ina', password: 'a phrase of 7 words' },
  { id: '6040003OTT', username: 'otto', password: 'another phrase of 7' },
]

/** Makes the tenant file of a server out of the demonstration tenant; `page` is the origin of the sign-in page. */
export function demonstration(page) {
  const text = readFileSync(join(directory, '../demo/tenant.toml'), 'utf8')
  return () => {
    const own = text.replace('urls = ["http://127.0.0.1:8400", "http://localhost:8400"]', 'urls = ["https://localhost:8460"]')
    const people = newcomers.map(({ id, username, password }) => `
[[tenant.users]]
id = "${id}"
username = "${username}"
password = "${password}"
attributes = { name = "${username}" }
`)
    return (own + people.join(''))
      .replaceAll('http://localhost:8400/dev/callback', 'https://localhost:8460/dev/callback')
      .replaceAll('http://localhost:8401', page)
      .replaceAll('http://localhost:3000', page)
      .replaceAll('"localhost:3000"', JSON.stringify(new URL(page).host))
  }
}

/** Where the page will be. */
export async function pageOrigin() {
  const port = await new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
  return `http://localhost:${port}`
}

/** Starts the page's server part. */
export async function startPage(origin, countersign) {
  const { port } = new URL(origin)
  const child = spawn(process.execPath, [example], { env: { ...process.env, PORT: port, COUNTERSIGN: countersign }, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text))
  const ended = new Promise(resolve => child.on('close', resolve))
  const ready = await until(() => said.includes('the sign-in page is at'))
  if (!ready) throw new Error(`the sign-in page does not start: ${said}`)
  return {
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** The code an authenticator shows for a key in base32 (RFC 6238), so many steps from now. */
export function totp(key, steps = 0) {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...key].map(letter => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const bytes = Buffer.from(bits.match(/.{8}/g).map(byte => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + steps))
  const hash = createHmac('sha1', bytes).update(counter).digest()
  const number = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff
  return String(number % 1_000_000).padStart(6, '0')
}
