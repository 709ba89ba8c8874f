// A relying party's listeners: a plain one that browsers are sent to, and one behind TLS that the server calls. They
// remember what came and answer with a page; what it means is for the test and its library.

import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { join } from 'node:path'

import { directory } from './server.js'

/** Starts both. Every request is kept and handed out in the order it came. */
export async function startApplication() {
  const browser = await listener((options, handler) => createServer(handler), '127.0.0.1', 'http')
  const read = name => readFile(join(directory, 'tls', name))
  const tls = { cert: await read('localhost.pem'), key: await read('localhost.key') }
  const backend = await listener((options, handler) => createSecureServer(tls, handler), 'localhost', 'https')
  return {
    /** Where browsers are sent. */
    origin: browser.origin,
    /** Where the server calls. */
    backend: backend.origin,
    /** The next request a browser makes at `path`: `{ method, url, body }`. */
    visited: path => browser.next(path),
    /** Forgets what came so far. */
    forget: () => [browser, backend].forEach(({ forget }) => forget()),
    /** The next request the server makes at `path`. */
    called: path => backend.next(path),
    stop: () => Promise.all([browser.stop(), backend.stop()]),
  }
}

async function listener(create, host, scheme) {
  const kept = []
  const waiting = []
  const server = create({}, async (request, response) => {
    let body = ''
    for await (const part of request.setEncoding('utf8')) body += part
    const url = new URL(request.url, `${scheme}://${host}:${server.address().port}`)
    const came = { method: request.method, url, headers: request.headers, body: new URLSearchParams(body) }
    const index = waiting.findIndex(({ path }) => path === url.pathname)
    if (index >= 0) waiting.splice(index, 1)[0].resolve(came)
    else kept.push(came)
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
    response.end('<!doctype html><html lang="en"><title>Application</title><h1 id="arrived">Arrived</h1></html>')
  })
  await new Promise((resolve, reject) => server.on('error', reject).listen(0, '127.0.0.1', resolve))
  return {
    origin: `${scheme}://${host}:${server.address().port}`,
    next: path => {
      const index = kept.findIndex(({ url }) => url.pathname === path)
      if (index >= 0) return Promise.resolve(kept.splice(index, 1)[0])
      return new Promise(resolve => waiting.push({ path, resolve }))
    },
    forget: () => void kept.splice(0),
    stop: () => {
      server.closeAllConnections()
      return new Promise(resolve => server.close(resolve))
    },
  }
}
