// node account.mjs PROGRAM: starts the program in an empty directory and goes through the account pages with a real browser, as a new user would.
// CHROMIUM names the browser; /usr/bin/chromium where it is not set. PICTURES names a directory for pictures of the pages.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import jsQR from 'jsqr';
import puppeteer from 'puppeteer-core';

const data = await mkdtemp(join(tmpdir(), 'citymarket-account-'));
const server = spawn(process.argv[2], ['-addr', '127.0.0.1:0', '-data', data, '-demo'], { stdio: ['ignore', 'pipe', 'ignore'] });
const printed = await new Promise((resolve, reject) => {
  let text = '';
  server.stdout.on('data', d => { text += d; if (text.includes('Stop it')) resolve(text); });
  server.on('exit', code => reject(new Error(`the program ended with ${code}`)));
});
const link = /(http\S+)\/account#invitation=(\S+)/.exec(printed), base = link[1];
const browser = await puppeteer.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
const complaints = [];

// open opens a page with cookies of its own.
async function open(language = 'en', width = 390) {
  const page = await (await browser.createBrowserContext()).newPage();
  await page.setViewport({ width, height: 800 });
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: width < 600 ? 'light' : 'dark' }]);
  await page.evaluateOnNewDocument(l => { localStorage.language ??= l; }, language);
  page.on('console', m => { if (m.type() === 'error' || m.type() === 'warn') complaints.push(`console: ${m.text()} ${m.location().url}`); });
  page.on('pageerror', e => complaints.push(`page: ${e.message}`));
  page.on('requestfailed', r => complaints.push(`request: ${r.url()} ${r.failure()?.errorText}`));
  return page;
}

const text = (page, selector) => page.$eval(selector, e => e.textContent);
const sees = (page, words) => page.waitForFunction(w => document.body.innerText.includes(w), { timeout: 15000 }, words);
const within = (section, rest) => `section[aria-labelledby=${section}] ${rest}`;

// fill types into the fields of a form, by their names, and sends it.
async function fill(page, form, values) {
  for (const [name, value] of Object.entries(values)) {
    await page.$eval(`${form} [name=${name}]`, e => { if (e.tagName === 'INPUT') e.value = ''; });
    if (await page.$eval(`${form} [name=${name}]`, e => e.tagName === 'SELECT')) await page.select(`${form} [name=${name}]`, value);
    else await page.type(`${form} [name=${name}]`, value);
  }
  await page.$eval(`${form} button[type=submit]`, e => e.click());
}

const unfold = (page, section, n = 0) => page.evaluate((s, i) => { document.querySelectorAll(s)[i].open = true; }, within(section, 'details'), n);

// fits says that nothing has to be scrolled sideways, and that everything that can be used has a name.
async function fits(page, what) {
  for (const width of [320, 390, 1280]) {
    await page.setViewport({ width, height: 800 });
    const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.ok(over <= 0, `${what} at ${width}: ${over} pixels too wide`);
    if (process.env.PICTURES) await page.screenshot({ path: join(process.env.PICTURES, `${what}-${width}.png`), fullPage: true });
  }
  await page.setViewport({ width: 390, height: 800 });
  const nameless = await page.evaluate(() => [...document.querySelectorAll('input:not([aria-hidden]), select, button')].filter(e =>
    !(e.labels?.length || e.getAttribute('aria-label') || e.getAttribute('aria-labelledby') || e.textContent.trim())).map(e => e.outerHTML));
  assert.deepEqual(nameless, [], `${what}: nameless`);
}

function totp(secret, step = Math.floor(Date.now() / 30000)) {
  const bits = [...secret].map(c => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map(b => parseInt(b, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const h = createHmac('sha1', key).update(counter).digest(), at = h[19] & 15;
  return String((h.readUInt32BE(at) & 0x7fffffff) % 1000000).padStart(6, '0');
}

// scan reads the QR code that the page shows.
async function scan(page) {
  const [size, path] = await page.$eval('svg.qr', e => [e.viewBox.baseVal.width, e.firstChild.getAttribute('d')]);
  const scale = 3, side = size * scale, pixels = new Uint8ClampedArray(side * side * 4).fill(255);
  for (const [, x, y] of path.matchAll(/M(\d+) (\d+)/g)) {
    for (let i = 0; i < scale; i++) for (let j = 0; j < scale; j++) pixels.fill(0, 4 * ((y * scale + i) * side + x * scale + j), 4 * ((y * scale + i) * side + x * scale + j) + 3);
  }
  return jsQR(pixels, side, side)?.data;
}

const api = async (query, token) => (await fetch(base + '/graphql', {
  method: 'POST', headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) }, body: JSON.stringify({ query }),
})).json();

const first = 'violet harbour tram 19', second = 'copper lantern sparrow 7';

async function story() {
  // The first administrator follows the link that the program has printed.
  const page = await open();
  await page.goto(link[0], { waitUntil: 'networkidle0' });
  await page.reload({ waitUntil: 'networkidle0' }); // looking does not use it up
  assert.match(await text(page, 'main'), /secretariat/);
  await fits(page, 'invitation');
  await page.click('form button[type=submit]');
  await page.waitForFunction(() => document.activeElement.name === 'name' && document.activeElement.getAttribute('aria-invalid') === 'true');
  await fill(page, 'form', { name: 'Ada Admin', email: 'ada@network.example', password: 'short' });
  await sees(page, 'Too short');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'password');
  await fill(page, 'form', { password: first });
  await page.waitForSelector('#sessions');
  assert.equal(await page.evaluate(() => location.href), base + '/account', 'the link is not left in the address');
  assert.equal(await text(page, 'h1'), 'Ada Admin');
  assert.match(await text(page, 'main'), /administrator/);
  await fits(page, 'account');

  // Out, and in again by the keyboard alone.
  await page.$eval('.apart button', e => e.click());
  await page.waitForSelector('input[name=email]');
  await fits(page, 'sign in');
  await page.focus('input[name=email]');
  await page.keyboard.type('ada@network.example');
  await page.keyboard.press('Tab');
  await page.keyboard.type('not the password');
  await page.keyboard.press('Enter');
  await sees(page, 'is not right');
  await page.$eval('input[name=password]', e => { e.value = ''; });
  await page.keyboard.type(first);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#sessions');

  // A token works until it is revoked.
  await unfold(page, 'tokens');
  await fill(page, within('tokens', 'form'), { name: 'nightly report', scope: 'READ' });
  await page.waitForSelector('#secret');
  await fits(page, 'token');
  const secret = await text(page, '#secret');
  assert.equal((await api('{ viewer { user { name } } }', secret)).data.viewer.user.name, 'Ada Admin');
  assert.match(await text(page, within('tokens', 'pre')), new RegExp(secret));
  await page.$eval(within('tokens', 'li button'), e => e.click());
  await page.waitForSelector(within('tokens', 'li button[data-asked]'));
  await page.$eval(within('tokens', 'li button'), e => e.click());
  await page.waitForFunction(s => !document.querySelector(s), {}, within('tokens', 'li'));
  assert.equal((await api('{ viewer { user { name } } }', secret)).errors[0].extensions.code, 'UNAUTHENTICATED');

  // Another password; what is said of oneself.
  await unfold(page, 'passwords');
  await fill(page, within('passwords', 'form'), { current: 'not it', password: second });
  await page.waitForSelector(within('passwords', 'input[name=current][aria-invalid]'));
  await fill(page, within('passwords', 'form'), { current: first });
  await sees(page, 'The password is set');
  await unfold(page, 'profile');
  await fill(page, within('profile', 'form'), { name: 'Ada Administrator', languages: 'nonsense!', timeZone: 'Asia/Kathmandu' });
  await page.waitForSelector(within('profile', 'input[name=languages][aria-invalid]'));
  await fill(page, within('profile', 'form'), { languages: 'ko, en' });
  await sees(page, 'Saved');
  assert.equal(await text(page, 'h1'), 'Ada Administrator');

  // A second factor, by the code in the picture, and a recovery code.
  await unfold(page, 'factor');
  await fill(page, within('factor', 'form'), { password: second });
  await page.waitForSelector('svg.qr');
  await fits(page, 'factor');
  const uri = await page.$eval(within('factor', 'a'), e => e.href);
  assert.equal(await scan(page), uri);
  const key = new URL(uri).searchParams.get('secret');
  assert.equal(await text(page, within('factor', 'code')), key);
  await fill(page, within('factor', 'form'), { code: totp(key) });
  await page.waitForSelector('#recovery');
  await fits(page, 'recovery');
  const recovery = await page.$eval('#recovery li', e => e.textContent);
  await page.$eval('.apart button', e => e.click());
  await page.waitForSelector('input[name=email]');
  await fill(page, 'form', { email: 'ada@network.example', password: second });
  await page.waitForSelector('input[name=code]');
  await fits(page, 'code');
  await fill(page, 'form', { code: '000000' });
  await page.waitForSelector('input[name=code][aria-invalid]');
  await fill(page, 'form', { code: recovery });
  await page.waitForSelector('#sessions');

  // The explorer asks with the same session.
  await page.goto(base + '/graphiql/', { waitUntil: 'networkidle0' });
  const who = await page.evaluate(async () => (await (await fetch('/graphql', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{"query":"{ viewer { user { name } } }"}' })).json()).data.viewer.user.name);
  assert.equal(who, 'Ada Administrator');

  // Links that are spent, or ask for what is not there.
  const other = await open();
  await other.goto(link[0], { waitUntil: 'networkidle0' });
  await sees(other, 'not good any more');
  await other.goto(base + '/account#reset', { waitUntil: 'networkidle0' });
  await fits(other, 'forgotten');
  await fill(other, 'form', { email: 'nobody@network.example' });
  await sees(other, 'on its way');
  for (const hash of ['reset=x.y', 'email=x.y']) {
    await other.goto(base + '/account#' + hash, { waitUntil: 'networkidle0' });
    if (hash.startsWith('reset')) await fill(other, 'form', { password: first });
    else await fill(other, 'form', {});
    await sees(other, 'not good any more');
  }
  await other.goto(base + '/account#error=identity.NOT_FOUND', { waitUntil: 'networkidle0' });
  await sees(other, 'No user here');

  // Sample users, in the languages of the pages; theirs where nobody has chosen one.
  for (const [language, out] of [['en', 'Sign out'], ['zh', '退出登录'], ['ko', '로그아웃'], ['es', 'Cerrar sesión']]) {
    const sample = await open(language, 1280);
    await sample.goto(base + '/account', { waitUntil: 'networkidle0' });
    await fill(sample, 'form', { email: 'ines@network.example', password: 'citymarket-demo' });
    await sees(sample, out);
    assert.equal(await sample.evaluate(() => document.documentElement.lang), language);
    await sample.evaluate(() => document.querySelectorAll('details').forEach(d => { d.open = true; }));
    await fits(sample, `account ${language}`);
  }
  const theirs = await open('');
  await theirs.goto(base + '/account', { waitUntil: 'networkidle0' });
  await fill(theirs, 'form', { email: 'minseo@nurigyeol.example', password: 'citymarket-demo' });
  await sees(theirs, '로그아웃');
  await theirs.select('#language', 'es');
  await sees(theirs, 'Cerrar sesión');
}

try {
  await story();
  assert.deepEqual(complaints, []);
  console.log('the account pages do what they say');
} finally {
  await browser.close();
  server.removeAllListeners('exit');
  server.kill();
  await new Promise(resolve => server.once('exit', resolve));
  await rm(data, { recursive: true, force: true });
}
