// The dialogue: every answer of the Authenticate API says what may be sent next, and each of these has a form here.

const { base, token: firstToken, first } = JSON.parse(document.getElementById('told').textContent)
const [title, problem, place] = ['title', 'problem', 'step'].map(id => document.getElementById(id))
let token = firstToken
// The answer that waits to be gone on with. A refusal never takes its place: what was refused may be sent again.
let step

const names = {
  SMS: 'Text message', EMAIL: 'E-mail', TOTP: 'Authenticator app', PUSH: 'Approve on your phone', PHONE_CALL: 'Phone call',
  SECURITY_QUESTIONS: 'Security questions', BYPASSCODE: 'Recovery code', FIDO_AUTHENTICATOR: 'Passkey',
}
const codes = ['SMS', 'EMAIL', 'PHONE_CALL', 'TOTP']

// --- talking to the server -------------------------------------------------------------------------------------------

async function send(method, path, body) {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const response = await fetch(base + path, { method, headers, body: body && JSON.stringify(body), credentials: 'omit' })
  // Nothing but the media type tells a client token that ran out from a wrong password.
  if (response.status === 401 && response.headers.get('content-type') === 'text/html') return undefined
  return response.json()
}

async function call(method, path, body) {
  const said = await send(method, path, body)
  if (said) return said
  token = (await (await fetch('/token', { method: 'POST' })).json()).token
  const again = await send(method, path, body)
  if (!again) throw new Error('the sign-in page is not known to the server')
  return again
}

const begin = () => call('GET', '/sso/v1/sdk/authenticate')
const submit = members => call('POST', '/sso/v1/sdk/authenticate', { ...members, requestState: step.requestState })

/** Sends a step and shows what comes of it. */
async function go(members) {
  show(await submit({ ...members, origin: location.origin }))
}

const prove = (credentials, factor, more = {}) => go({ op: 'credSubmit', ...(factor && { authFactor: factor }), credentials, ...more })

// --- showing ---------------------------------------------------------------------------------------------------------

function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (value === true) element.setAttribute(name, '')
    else if (value !== false && value !== undefined) element.setAttribute(name, value)
  }
  element.append(...children.filter(child => child !== undefined && child !== false))
  return element
}

function put(heading, ...children) {
  title.textContent = document.title = heading
  problem.textContent = ''
  place.replaceChildren(...children.filter(Boolean))
  place.querySelector('input, button')?.focus()
}

const tell = message => (problem.textContent = message)

/** Runs what a button does, once at a time. */
function act(work) {
  return async event => {
    event?.preventDefault()
    const buttons = [...place.querySelectorAll('button')]
    for (const button of buttons) button.disabled = true
    try {
      await work(event)
    } catch (error) {
      tell(error.message)
    }
    for (const button of buttons) button.disabled = false
  }
}

const field = (name, label, attributes = {}) => h('label', {}, label, h('input', { name, required: true, ...attributes }))
const tick = (name, label) => h('label', { class: 'tick' }, h('input', { name, type: 'checkbox' }), label)
const button = (label, work, kind = 'other', id) => h('button', { type: 'button', class: kind, id, onclick: act(work) }, label)

/** A form; `work` is given its fields. */
function form(fields, label, work) {
  const submitted = act(event => {
    const data = new FormData(event.target)
    return work(Object.fromEntries(data), name => data.has(name))
  })
  return h('form', { onsubmit: submitted }, ...fields, h('button', {}, label))
}

// --- the steps -------------------------------------------------------------------------------------------------------

function show(answer) {
  if (answer.authnToken) return finish(answer)
  const cause = answer.cause?.[0]
  if (answer.status === 'failed') {
    if (!step) put('Sign in', button('Try again', async () => show(await begin()), ''))
    return tell(cause?.message ?? 'That did not work.')
  }
  const [op] = answer.nextOp
  step = answer
  if (op === 'acceptTOU') return terms(answer)
  const enrols = answer.nextOp.includes('enrollment')
  const factor = answer.nextAuthFactors?.find(name => name !== 'USERNAME' && name !== 'IDP') ??
    Object.keys(names).find(name => answer[name]) ?? (answer.nextAuthFactors ?? [])[0]
  if (answer.status === 'pending') return wait(answer, factor ?? 'PUSH', enrols)
  if (op === 'credSubmit' && enrols) return setUp(answer, factor)
  if (enrols || op === 'createToken') return answer.nextAuthFactors ? offer(answer) : done(answer)
  if (answer.nextAuthFactors?.length > 1 || answer[factor]?.enrolledDevices) return choose(answer)
  challenge(answer, factor)
}

/** Signed in: the browser takes the token to the server, and goes where it wanted to. */
function finish({ authnToken, trustToken, kmsiToken }) {
  put('One moment …')
  const fields = Object.entries({ authnToken, trustToken, kmsiToken }).filter(([, value]) => value)
  const hidden = fields.map(([name, value]) => h('input', { type: 'hidden', name, value }))
  const last = h('form', { method: 'post', action: `${base}/sso/v1/sdk/session` }, ...hidden)
  document.body.append(last)
  last.submit()
}

function challenge(answer, factor) {
  const ways = answer.nextOp.includes('getBackupFactors') && button('Try another way', () => go({ op: 'getBackupFactors' }), 'link', 'other')
  const resend = answer.nextOp.includes('resendCode') && button('Send it again', () => go({ op: 'resendCode' }), 'link', 'resend')
  const trust = answer.trustedDeviceSettings?.trustDurationInDays > 0 && tick('trust', `Trust this device for ${answer.trustedDeviceSettings.trustDurationInDays} days`)
  const trusted = has => trust ? { trustedDevice: has('trust'), trustedDeviceDisplayName: device() } : {}
  const where = answer.displayName && h('p', {}, answer.displayName)
  if (factor === 'USERNAME_PASSWORD') {
    const stay = answer.keepMeSignedInEnabled && tick('stay', 'Keep me signed in')
    const fields = [field('username', 'User name', { autocomplete: 'username' }), field('password', 'Password', { type: 'password', autocomplete: 'current-password' }), stay]
    return put('Sign in',
      form(fields, 'Sign in', ({ username, password }, has) =>
        prove({ username, password }, factor, has('stay') ? { keepMeSignedIn: true, kmsiDeviceDisplayName: device() } : {})),
      button('Forgot your password?', forgotten, 'link', 'forgotten'))
  }
  if (factor === 'USERNAME') {
    return put('Sign in', form([field('username', 'User name', { autocomplete: 'username' })], 'Go on', ({ username }) => prove({ username }, factor)))
  }
  if (codes.includes(factor)) {
    const code = field('otpCode', 'Code', { inputmode: 'numeric', autocomplete: 'one-time-code' })
    return put(names[factor], where, form([code, trust], 'Go on', ({ otpCode }, has) => prove({ otpCode: otpCode.trim() }, factor, trusted(has))), resend, ways)
  }
  if (factor === 'BYPASSCODE') {
    return put(names[factor], form([field('bypassCode', 'Code')], 'Go on', ({ bypassCode }) => prove({ bypassCode }, factor)), ways)
  }
  if (factor === 'SECURITY_QUESTIONS') {
    const { questions } = answer[factor]
    const fields = questions.map(({ questionId, text, hint }) => field(questionId, hint ? `${text} (${hint})` : text))
    const given = fields => ({ questions: questions.map(({ questionId }) => ({ questionId, answer: fields[questionId] })) })
    return put(names[factor], form(fields, 'Go on', fields => prove(given(fields), factor)), ways)
  }
  if (factor === 'FIDO_AUTHENTICATOR') {
    return put(names[factor], where, button('Use your passkey', async () => prove({ fidoAssertion: await assert(answer[factor].fidoData) }, factor), ''), ways)
  }
  tell('This page does not know the way you sign in.')
}

/** The phone is asked meanwhile. */
function wait(answer, factor, enrols) {
  const qr = answer[factor]?.qrCode
  const others = answer.nextOp.includes('getBackupFactors') && button('Try another way', () => go({ op: 'getBackupFactors' }), 'link', 'other')
  if (answer !== wait.shown || !qr) {
    if (qr || !place.querySelector('.waiting')) {
      put(enrols ? 'Add your phone' : names.PUSH, h('p', { class: 'waiting' }, answer.displayName ? `We asked ${answer.displayName}.` : 'Scan the picture with your phone.'), qr && picture(qr), others)
    }
  }
  const asked = step
  setTimeout(async () => {
    if (step !== asked) return
    const said = await submit({ op: 'credSubmit' }).catch(error => void tell(error.message))
    if (said && step === asked) show(said)
  }, 2000)
}

/** The ways a person has, and the devices of each. */
function choose(answer) {
  const devices = answer.nextAuthFactors.filter(name => names[name]).flatMap(name => {
    const listed = answer[name]?.enrolledDevices ?? [{}]
    return listed.map(({ deviceId, displayName }) => ({ name, deviceId, displayName }))
  })
  const buttons = devices.map(({ name, deviceId, displayName }) =>
    button(displayName ? `${names[name]}: ${displayName}` : names[name], async () => {
      // A code that is there already is typed at once; any other must be asked for first.
      if (['TOTP', 'BYPASSCODE', 'SECURITY_QUESTIONS'].includes(name)) return challenge({ ...answer, displayName }, name)
      await prove({ deviceId }, name)
    }, 'other', `way-${name}`))
  put('Choose a way', h('div', { class: 'choices' }, ...buttons))
}

function terms(answer) {
  put('Terms of use', h('p', {}, answer.TOU.statement), h('div', { class: 'choices' },
    button('I accept', () => go({ op: 'acceptTOU', credentials: { consent: true } }), '', 'accept'),
    button('I do not', () => go({ op: 'acceptTOU', credentials: { consent: false } }), 'other', 'refuse')))
}

// --- setting up a factor ---------------------------------------------------------------------------------------------

const skip = (answer, label) => answer.nextOp.includes('createToken') && button(label, () => go({ op: 'createToken' }), 'link', 'skip')
const enrol = (authFactor, credentials) => go({ op: 'enrollment', authFactor, ...(credentials && { credentials }) })

function offer(answer) {
  const buttons = answer.nextAuthFactors.filter(name => names[name] && name !== 'BYPASSCODE').map(name =>
    button(names[name], () => {
      if (name === 'TOTP') return enrol(name, { offlineTotp: true })
      if (name === 'SMS' || name === 'PHONE_CALL') return number(answer, name)
      return enrol(name)
    }, 'other', `enrol-${name}`))
  const heading = answer.accRecEnrollmentRequired ? 'How can we reach you?' : 'Protect your account'
  put(heading, h('p', {}, 'Choose how you want to prove who you are.'), h('div', { class: 'choices' }, ...buttons), skip(answer, 'Not now'))
}

function number(answer, factor) {
  const phone = field('phoneNumber', 'Phone number', { type: 'tel', autocomplete: 'tel', placeholder: '+44 20 7123 0000' })
  put(names[factor], form([phone], 'Send the code', ({ phoneNumber }) => enrol(factor, { phoneNumber: phoneNumber.replaceAll(' ', '') })), button('Back', () => offer(answer), 'link'))
}

function setUp(answer, factor) {
  const other = button('Choose another', () => go({ op: 'enrollment' }), 'link', 'other')
  const { qrCode, questions, secQuesSettings, fidoData } = answer[factor]
  if (factor === 'PUSH') return wait({ ...answer, displayName: undefined }, factor, true)
  if (factor === 'FIDO_AUTHENTICATOR') {
    return put(names[factor], button('Make a passkey', async () => prove({ fidoAssertion: await create(fidoData) }), '', 'make'), other, skip(answer, 'Not now'))
  }
  if (factor === 'SECURITY_QUESTIONS') {
    const some = questions.slice(0, Number(secQuesSettings.numQuestionsToSetup))
    const given = fields => ({ questions: some.map(({ questionId }) => ({ questionId, answer: fields[questionId] })) })
    const fields = some.map(({ questionId, text }) => field(questionId, text, { minlength: secQuesSettings.minAnswerLength }))
    return put(names[factor], form(fields, 'Save', fields => prove(given(fields), factor)), other, skip(answer, 'Not now'))
  }
  const key = qrCode && new URL(qrCode.content).searchParams.get('secret')
  put(names[factor], qrCode ? h('p', {}, 'Scan the picture with your app, then type the code it shows.') : h('p', {}, `We sent a code to ${answer.displayName}.`),
    qrCode && picture(qrCode), key && h('p', {}, 'Or type this key: ', h('code', { id: 'key' }, key)),
    form([field('otpCode', 'Code', { inputmode: 'numeric', autocomplete: 'one-time-code' })], 'Go on', ({ otpCode }) => prove({ otpCode: otpCode.trim() })),
    answer.nextOp.includes('resendCode') && button('Send it again', () => go({ op: 'resendCode' }), 'link', 'resend'), other, skip(answer, 'Not now'))
}

function done(answer) {
  put('That is set up', answer.displayName && h('p', {}, answer.displayName), h('div', { class: 'choices' },
    button('Go on', () => go({ op: 'createToken' }), '', 'finish'),
    answer.nextOp.includes('enrollment') && button('Set up another', () => go({ op: 'enrollment' }), 'other', 'more')))
}

const picture = ({ imageType, imageData }) => h('img', { src: `data:${imageType};base64,${imageData}`, alt: 'A picture to scan with your phone' })

// --- passkeys --------------------------------------------------------------------------------------------------------

/** The attributes, which come as a list of names and values. Bytes come as text, one character each. */
const read = list => Object.fromEntries(list.map(({ name, value }) => [name, value]))
const bytes = text => Uint8Array.from(text, character => character.charCodeAt(0))
const url64 = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')

async function assert(list) {
  const { challenge, rpId, timeout, authSelectionUserVerification, allowCredentials } = read(list)
  const allowed = allowCredentials?.map(({ type, id }) => ({ type, id: bytes(atob(id)) }))
  const publicKey = { challenge: bytes(challenge), rpId, timeout, userVerification: authSelectionUserVerification, allowCredentials: allowed }
  const { id, type, rawId, response } = await navigator.credentials.get({ publicKey })
  const { clientDataJSON, authenticatorData, signature, userHandle } = response
  const encoded = { clientDataJSON: url64(clientDataJSON), authenticatorData: url64(authenticatorData), signature: url64(signature), userHandle: userHandle && url64(userHandle) }
  return JSON.stringify({ id, type, rawId: url64(rawId), response: encoded })
}

async function create(list) {
  const told = read(list)
  const publicKey = {
    challenge: bytes(told.challenge), timeout: told.timeout, attestation: told.attestation.toLowerCase(),
    rp: { id: told.rpId, name: told.rpName },
    user: { id: bytes(told.userId), name: told.userName, displayName: told.userDisplayName },
    pubKeyCredParams: told.publicKeyAlgorithms.map(one => (typeof one === 'object' ? one : { type: 'public-key', alg: one })),
    authenticatorSelection: { userVerification: told.authSelectionUserVerification, residentKey: told.authSelectionResidentKey?.toLowerCase() },
  }
  const { id, type, rawId, response } = await navigator.credentials.create({ publicKey })
  const encoded = { clientDataJSON: url64(response.clientDataJSON), attestationObject: url64(response.attestationObject) }
  return JSON.stringify({ id, type, rawId: url64(rawId), response: encoded })
}

// --- a forgotten password --------------------------------------------------------------------------------------------

const schemas = name => [`urn:ietf:params:scim:schemas:oracle:idcs:${name}`]
const admin = async (name, members) => {
  const said = await call('POST', `/admin/v1/${name}`, { ...members, schemas: schemas(name) })
  if (said.status && Number(said.status) >= 400) throw new Error(said.detail)
  return said
}

function forgotten() {
  put('Forgotten password', form([field('username', 'User name', { autocomplete: 'username' })], 'Go on', async ({ username: userName }) => {
    const { options = [] } = await admin('MePasswordRecoveryOptionRetriever', { userName })
    const label = { email: 'E-mail', sms: 'Text message', secquestions: 'Security questions' }
    const buttons = options.map(({ type, value }) => button(value ? `${label[type]}: ${value}` : label[type], () => recover(userName, type, value), 'other', `by-${type}`))
    put('How can you prove it is you?', h('div', { class: 'choices' }, ...buttons))
  }), button('Back', async () => show(step?.nextOp ? step : await begin()), 'link'))
}

async function recover(userName, type, value) {
  const said = await admin('MePasswordResetRequestor', { userName, notificationType: type, notificationEmailAddress: value ?? null })
  const check = members => admin('MePasswordRecoveryFactorValidator', { type, userName, ...members })
  if (type === 'email') {
    return put('Look into your mail', h('p', {}, 'Follow the link we sent, or type the code from it.'),
      form([field('token', 'Code')], 'Go on', async ({ token }) => renew((await check({ emailToken: token.trim() })).token)))
  }
  if (type === 'sms') {
    const { deviceId, requestId } = said
    return put('Text message', form([field('otpCode', 'Code', { inputmode: 'numeric' })], 'Go on', async ({ otpCode }) => renew((await check({ deviceId, requestId, otpCode })).token)))
  }
  const questions = said.secquestions
  const fields = questions.map(({ questionId, localizedQuestionText, hintText }) => field(questionId, hintText ? `${localizedQuestionText} (${hintText})` : localizedQuestionText))
  put('Security questions', form(fields, 'Go on', async given =>
    renew((await check({ securityQuestions: questions.map(({ questionId }) => ({ questionId, securityAnswer: given[questionId] })) })).token)))
}

/** With what came of that a new password is set. */
function renew(token) {
  put('New password', form([field('password', 'New password', { type: 'password', autocomplete: 'new-password' })], 'Save', async ({ password }) => {
    const said = await admin('MePasswordResetter', { token, password })
    if (!said.id) throw new Error(said.detail ?? 'That password cannot be used.')
    step = undefined
    show(await begin())
    tell('Your password is changed. Sign in with it.')
  }))
}

const device = () => {
  const agent = navigator.userAgent
  const browser = ['Edg', 'Firefox', 'Chrome', 'Safari'].find(name => agent.includes(name)) ?? 'Browser'
  const system = ['Windows', 'Android', 'iPhone', 'Mac', 'Linux'].find(name => agent.includes(name)) ?? 'a computer'
  return `${browser} on ${system}`
}

// --- beginning -------------------------------------------------------------------------------------------------------

const mailed = location.pathname === '/resetpwd' && new URLSearchParams(location.search).get('token')
if (mailed) {
  act(async () => renew((await admin('MePasswordRecoveryFactorValidator', { type: 'email', emailToken: mailed })).token))()
} else {
  act(async () => show(first ?? (await begin())))()
}
