// A person at a browser without JavaScript: keeps cookies, follows redirects, fills in forms and presses buttons. Knows
// HTML forms (HTML §4.10.21) and nothing of the server: what is on a page is looked up by what a person would see.

import assert from 'node:assert/strict'

/** A person with a browser of their own. `home` is the origin they stay at; going elsewhere is told, not followed. */
export class Person {
  #cookies = new Map()

  constructor(home) {
    this.home = new URL(home).origin
  }

  /** Opens an address. Ends at a page, or at `{ left }`: the address elsewhere that the browser was sent to. */
  visit(url) {
    return this.#go('GET', new URL(url))
  }

  /** Fills in a form of a page and presses a button of it (by id, or the first one). */
  submit(page, fields = {}, button = undefined) {
    const form = page.forms.find(form => button === undefined || form.buttons.some(({ id }) => id === button))
    assert.ok(form, `no form with the button \`${button}\`:\n${page.html}`)
    const data = new URLSearchParams(form.fields)
    for (const [name, value] of Object.entries(fields)) {
      assert.ok(form.names.has(name), `no field \`${name}\`:\n${page.html}`)
      data.set(name, value)
    }
    const pressed = button === undefined ? form.buttons[0] : form.buttons.find(({ id }) => id === button)
    if (pressed?.name) data.set(pressed.name, pressed.value ?? '')
    const target = new URL((pressed?.formaction ?? form.action) || page.url, page.url)
    if (form.method === 'post') return this.#go('POST', target, data, page)
    target.search = data
    return this.#go('GET', target)
  }

  /** Follows a link of a page, by id. */
  follow(page, id) {
    const link = page.links.find(link => link.id === id)
    assert.ok(link, `no link \`${id}\`:\n${page.html}`)
    return this.#go('GET', new URL(link.href, page.url))
  }

  /** The names of the cookies held. */
  get cookies() {
    return [...this.#cookies.keys()]
  }

  /** Forgets everything, as a browser that was closed. */
  forget() {
    this.#cookies.clear()
  }

  async #go(method, url, body, from) {
    for (let redirects = 0; redirects < 20; redirects++) {
      if (url.origin !== this.home) return { left: url, body }
      const headers = { accept: 'text/html', 'accept-language': 'en', ...this.#sent() }
      if (from) headers.origin = new URL(from.url).origin
      const response = await fetch(url, { method, headers, body, redirect: 'manual' })
      this.#remember(response)
      const location = response.headers.get('location')
      if (response.status < 300 || response.status > 399 || !location) return new Page(url, response, await response.text())
      await response.body?.cancel()
      url = new URL(location, url)
      // 307 and 308 keep the method and the body; everything else goes on with GET.
      if (response.status !== 307 && response.status !== 308) [method, body] = ['GET', undefined]
    }
    assert.fail(`more than 20 redirects, the last one to ${url}`)
  }

  #sent() {
    if (this.#cookies.size === 0) return {}
    return { cookie: [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ') }
  }

  #remember(response) {
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(';').map(part => part.trim())
      const [name, value] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]
      const attribute = wanted => attributes.find(text => text.toLowerCase().startsWith(`${wanted}=`))?.split('=')[1]
      const over = Number(attribute('max-age') ?? 1) <= 0 || Date.parse(attribute('expires') ?? '') < Date.now()
      if (over) this.#cookies.delete(name)
      else this.#cookies.set(name, value)
    }
  }
}

/** A page as a browser without JavaScript has it. */
class Page {
  constructor(url, response, html) {
    Object.assign(this, { url: String(url), status: response.status, headers: response.headers, html })
    this.forms = []
    this.links = []
    // What `noscript` holds is shown to this person; what scripts and templates hold is not.
    const seen = html.replaceAll(/<!--[\s\S]*?-->|<(script|style|template)\b[\s\S]*?<\/\1\s*>/gi, '')
    for (const { name, attributes, end } of tags(seen)) this.#take(name, attributes, textBetween(seen, end))
    this.text = decode(seen.replaceAll(/<[^>]*>/g, ' ')).replaceAll(/\s+/g, ' ').trim()
    this.title = decode(/<title>([^<]*)/.exec(html)?.[1] ?? '')
  }

  /** Is there an element of this id? */
  has(id) {
    return new RegExp(`\\bid=["']?${id}["'\\s>]`).test(this.html)
  }

  #take(name, attributes, text) {
    const form = this.forms.at(-1)
    switch (name) {
      case 'form':
        this.forms.push({
          id: attributes.id,
          action: attributes.action ?? '',
          method: (attributes.method ?? 'get').toLowerCase(),
          fields: [],
          names: new Set(),
          buttons: [],
        })
        break
      case 'a':
        this.links.push({ id: attributes.id, href: attributes.href ?? '', text })
        break
      case 'button':
        if (form && (attributes.type ?? 'submit') === 'submit' && !('disabled' in attributes)) form.buttons.push({ ...attributes, text })
        break
      case 'select':
        form?.names.add(attributes.name)
        this.select = attributes.name
        break
      case 'option':
        if (form && 'selected' in attributes) form.fields.push([this.select, attributes.value ?? text])
        break
      case 'textarea':
        form?.names.add(attributes.name)
        form?.fields.push([attributes.name, text])
        break
      case 'input':
        if (!form || 'disabled' in attributes) break
        if (attributes.type === 'submit') form.buttons.push(attributes)
        else if (attributes.name) {
          form.names.add(attributes.name)
          const chosen = !['checkbox', 'radio'].includes(attributes.type) || 'checked' in attributes
          if (chosen) form.fields.push([attributes.name, attributes.value ?? ''])
        }
    }
  }
}

function* tags(html) {
  for (const match of html.matchAll(/<([a-z][a-z0-9]*)((?:\s+[^\s=>"'/]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*\/?>/gi)) {
    const attributes = {}
    for (const [, name, quoted, single, bare] of match[2].matchAll(/([^\s=>"'/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)) {
      attributes[name.toLowerCase()] = decode(quoted ?? single ?? bare ?? '')
    }
    yield { name: match[1].toLowerCase(), attributes, end: match.index + match[0].length }
  }
}

const textBetween = (html, start) => decode(html.slice(start, html.indexOf('<', start))).trim()

const NAMED = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

function decode(text) {
  return text.replaceAll(/&(?:#x([0-9a-f]+)|#([0-9]+)|([a-z]+));/gi, (whole, hex, decimal, name) =>
    hex ? String.fromCodePoint(parseInt(hex, 16)) : decimal ? String.fromCodePoint(Number(decimal)) : (NAMED[name] ?? whole))
}
