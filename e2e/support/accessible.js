// What a program can judge of a page for people who see, hear or move otherwise.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const axe = await readFile(require.resolve('axe-core/axe.min.js'), 'utf8')

/** Every rule of WCAG 2.1 AA that a program can judge, in light and dark and on a narrow screen. */
export async function accessible(page) {
  const size = page.viewportSize()
  for (const [colorScheme, width] of [['light', 1280], ['dark', 1280], ['light', 320]]) {
    // Without motion: colours on their way from one scheme to the other are neither.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.setViewportSize({ width, height: 800 })
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }))
    assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [], `${await page.title()}, ${colorScheme}, ${width}`)
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(wide <= width, `${await page.title()} is ${wide} wide on ${width}`)
  }
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'no-preference' })
  await page.setViewportSize(size)
}
