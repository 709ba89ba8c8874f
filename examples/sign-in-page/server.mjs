// The server part of the sign-in page: it keeps the client's secret, and opens what Countersign hands over with a browser.

import { createDecipheriv, createHash, createVerify, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'

const base = process.env.COUNTERSIGN ?? 'http://127.0.0.1:8400'
const client = process.env.CLIENT_ID ?? 'idcs-demo'
const secret = process.env.CLIENT_SECRET ?? 'idcs-demo-secret'
const port = Number(process.env.PORT ?? 3000)
const scope = ['signin', 'mecreate', 'forgotpassword', 'resetpassword', 'verifyemail'].map(name => `urn:opc:idm:t.user.${name}`)

const here = name => fileURLToPath(new URL(name, import.meta.url))
const files = { '/page.js': 'text/javascript', '/page.css': 'text/css' }

/** A token of the client: what the page calls the Authenticate API with. */
async function clientToken() {
  const response = await fetch(`${base}/oauth2/v1/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${client}:${secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', scope: ['urn:opc:idm:t.security.client', ...scope].join(' ') }),
  })
  const body = await response.json()
  if (!response.ok) throw new Error(`no client token: ${JSON.stringify(body)}`)
  return body.access_token
}

/** What the tenant is called, which is all the secret its obfuscation has. */
const tenantOf = token => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'))['user.tenant.name']

/** Opens `loginCtx` or `errorCtx`. Anybody can: only the signature says who made it. */
function open(context, tenant) {
  const key = createHash('sha256').update(tenant.toLowerCase()).digest().subarray(0, 16)
  const decipher = createDecipheriv('aes-128-cbc', key, Buffer.alloc(16))
  return JSON.parse(Buffer.concat([decipher.update(context, 'base64'), decipher.final()]).toString('utf8'))
}

/** Whether the server signed this `loginCtx`, by any of the keys it publishes. */
async function isSigned(loginCtx, signature, token) {
  const response = await fetch(`${base}/admin/v1/SigningCert/jwk`, { headers: { authorization: `Bearer ${token}` } })
  const { keys } = await response.json()
  return keys.some(({ x5c }) => {
    const { publicKey } = new X509Certificate(Buffer.from(x5c[0], 'base64'))
    return createVerify('RSA-SHA256').update(`loginCtx${loginCtx}`).verify(publicKey, signature, 'base64')
  })
}

async function page(token, first) {
  const html = await readFile(here('page.html'), 'utf8')
  // Nothing in it ends the script element.
  const told = JSON.stringify({ base, token, first }).replaceAll('<', '\\u003c')
  return html.replace('{}', () => told)
}

async function answer(request, body) {
  const url = new URL(request.url, 'http://localhost')
  const path = url.pathname
  if (request.method === 'GET' && files[path]) return { type: files[path], body: await readFile(here(`.${path}`)) }
  const token = await clientToken()
  if (request.method === 'GET' && path === '/') return { body: await page(token, null) }
  if (request.method === 'GET' && path === '/error') {
    const { errors } = open(url.searchParams.get('errorCtx') ?? '', tenantOf(token))
    return { body: await page(token, { status: 'failed', cause: errors }) }
  }
  if (request.method === 'GET' && path === '/resetpwd') return { body: await page(token, null) }
  // The page asks for a new client token when its own has run out.
  if (request.method === 'POST' && path === '/token') return { type: 'application/json', body: JSON.stringify({ token }) }
  if (request.method === 'POST' && path === '/') {
    const form = new URLSearchParams(body)
    if (form.has('authnToken')) return { body: await page(token, { authnToken: form.get('authnToken') }) }
    const [loginCtx, signature] = [form.get('loginCtx') ?? '', form.get('signature') ?? '']
    if (!(await isSigned(loginCtx, signature, token))) return { status: 400, body: 'this was not handed over by the server' }
    return { body: await page(token, open(loginCtx, tenantOf(token))) }
  }
  return { status: 404, body: 'there is nothing here' }
}

const headers = {
  'content-security-policy': `default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self' ${base}; base-uri 'none'; frame-ancestors 'none'`,
  // The session endpoint wants to know which page sends people: with `no-referrer` browsers would not say.
  'referrer-policy': 'strict-origin',
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
}

createServer(async (request, response) => {
  let body = ''
  for await (const part of request.setEncoding('utf8')) {
    body += part
    if (body.length > 65536) return response.writeHead(413).end()
  }
  const told = await answer(request, body).catch(error => {
    console.error(error.message)
    return { status: 500, body: 'the sign-in page has a problem' }
  })
  response.writeHead(told.status ?? 200, { ...headers, 'content-type': `${told.type ?? 'text/html'}; charset=utf-8` })
  response.end(told.body)
}).listen(port, () => console.log(`the sign-in page is at http://localhost:${port}/`))
