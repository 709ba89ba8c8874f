// What a person does on the way to an application: signs in and allows what is asked. By what they see on the pages.

import assert from 'node:assert/strict'

export const alice = { username: 'alice', password: 'wonderland-11' }

/**
 * Opens an address of the server and does what each page asks until the browser is sent elsewhere. Where it is sent, and the
 * pages on the way by their titles.
 */
export async function passThrough(person, url, who = alice) {
  const titles = []
  for (let page = await person.visit(url); ; page = await answer(person, page, who)) {
    if (page.left) return { url: page.left, body: page.body, titles }
    titles.push(page.title)
    assert.ok(titles.length < 8, `no end of pages: ${titles.join(', ')}`)
    assert.ok(page.forms.length > 0, `nothing to do on this page:\n${page.text}`)
  }
}

/** Does what a page asks. */
export function answer(person, page, who = alice) {
  assert.ok(!page.has('error'), page.text)
  if (page.has('password')) return person.submit(page, page.has('username') && hasField(page, 'username') ? who : { password: who.password }, 'submit')
  if (page.has('username')) return person.submit(page, { username: who.username }, 'submit')
  if (page.has('allow')) return person.submit(page, {}, 'allow')
  return person.submit(page, {}, 'submit')
}

const hasField = (page, name) => page.forms.some(({ names }) => names.has(name))
