// One server with a tenant of its own, as it is shipped: `countersign serve` behind TLS with a database in a temporary
// directory, or `countersign dev`. Owns starting and ending it; does not know what is asked of it.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const directory = fileURLToPath(new URL('..', import.meta.url))

const binary = process.env.COUNTERSIGN_BINARY ?? join(directory, '../target/debug/countersign')
const patience = 30_000

// What the tenant file says in place of the ports that are only known now.
const written = { server: 'https://localhost:8460', application: 'http://127.0.0.1:8461', backend: 'https://localhost:8462' }

/**
 * Starts a server. `application` and `backend` are the origins the relying party listens at.
 *
 * With `dev` it speaks plain HTTP and its outbox can be read; otherwise it speaks TLS. `change` makes another tenant file of the
 * usual one.
 */
export async function startServer({ dev = false, application = written.application, backend = written.backend, change = text => text } = {}) {
  const home = await mkdtemp(join(tmpdir(), 'countersign-e2e-'))
  const port = await freePort()
  const origin = `${dev ? 'http' : 'https'}://localhost:${port}`
  const path = name => join(home, name)
  let text = change(await readFile(join(directory, 'tenant.toml'), 'utf8'))
  text = text.replaceAll(written.server, origin).replaceAll(written.application, application)
  await writeFile(path('tenant.toml'), text.replaceAll(written.backend, backend))

  let running
  if (dev) {
    running = begin(['dev', '--listen', `127.0.0.1:${port}`, '--tenant', path('tenant.toml')])
  } else {
    await writeFile(path('countersign.toml'), configuration(port))
    const config = ['--config', path('countersign.toml')]
    await complete(['keys', 'create-master', path('master.key')])
    await complete(['apply', path('tenant.toml'), ...config])
    running = begin(['serve', ...config])
  }
  await answers(running, `${origin}/jwks`)
  return {
    origin,
    /** What the server wrote. */
    log: () => running.said(),
    /** Messages it sent to an address, oldest first. Development mode only. */
    outbox: async to => (await fetch(`${origin}/dev/outbox?to=${encodeURIComponent(to)}`)).json(),
    /** Runs another command against the same database, as an operator would. */
    command: (...words) => complete([...words, '--config', path('countersign.toml')]),
    stop: async () => {
      await running.stop()
      await rm(home, { recursive: true, force: true })
    },
  }
}

function configuration(port) {
  const tls = name => JSON.stringify(join(directory, 'tls', name))
  return `
[server]
listen = "127.0.0.1:${port}"
[server.timeouts]
shutdown = 1
[tls]
cert = ${tls('localhost.pem')}
key = ${tls('localhost.key')}
[database]
url = "sqlite:data.sqlite3"
[keys]
master_key_file = "master.key"
[log]
format = "text"
[outbound]
allow = ["localhost"]
ca = ${tls('ca.pem')}
`
}

function begin(words) {
  // Bound to our life: the kernel ends it when this process is killed.
  const tied = existsSync('/usr/bin/setpriv')
  const [program, ...before] = tied ? ['/usr/bin/setpriv', '--pdeathsig', 'TERM', '--', binary] : [binary]
  const child = spawn(program, [...before, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', text => (said += text))
  const ended = new Promise(resolve => {
    child.on('error', error => resolve(`cannot be started: ${error.message}`))
    child.on('close', (code, signal) => resolve(code ?? signal))
  })
  const stop = async () => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), patience)
    await ended
    clearTimeout(late)
  }
  return { child, ended, stop, said: () => said }
}

async function complete(words) {
  const running = begin(words)
  const code = await running.ended
  if (code !== 0) throw new Error(`\`countersign ${words.join(' ')}\` ended with ${code}: ${running.said()}`)
  return running.said()
}

async function answers(running, url) {
  let over, problem
  running.ended.then(code => (over = code))
  const ready = await until(async () => {
    if (over !== undefined) throw new Error(`the server ended with ${over}: ${running.said()}`)
    const response = await fetch(url).catch(error => void (problem = error.cause ?? error))
    // A certificate is not a matter of waiting: Node reads the authorities it trusts once, when it starts.
    return response?.ok || /certificate|CERT/.test(problem?.code)
  })
  if (ready && !/certificate|CERT/.test(problem?.code)) return
  await running.stop()
  throw new Error(`the server does not answer (set NODE_EXTRA_CA_CERTS=tls/ca.pem?): ${problem}\n${running.said()}`)
}

/**
 * Looks until something is so, for what another process does in its own time; false when it never was. Nothing else here waits
 * for time to pass.
 */
export async function until(isSo) {
  for (const deadline = Date.now() + patience; Date.now() < deadline; await new Promise(resolve => setTimeout(resolve, 10))) {
    if (await isSo()) return true
  }
  return false
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}
