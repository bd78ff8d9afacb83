// The account pages: sign in, accept an invitation, set a new password, and
// look after one's account. They speak the GraphQL API like any other client.
// Which page is shown is said by the part of the address behind the "#", which
// browsers do not send, so one-time links appear in no log. A link does nothing
// until a button is pressed, since mail scanners open links as well.
import { h, say, form, sure, copier, drawing } from '/account/dom.js';
import { matrix } from '/account/qr.js';

const main = document.getElementById('main');
const state = { words: {}, language: 'en', viewer: null, providers: [] };

// --- words -----------------------------------------------------------------

// t is a text in the chosen language; {name} in it stands for a value.
function t(key, values = {}) {
  const text = state.words[state.language]?.[key] ?? state.words.en?.[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
}

const has = key => key in state.words.en;

// choose picks the first language that there are words in.
function choose(wanted) {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split('-')[0];
    if (base in state.words) return base;
  }
  return 'en';
}

function speak(language) {
  state.language = language;
  document.documentElement.lang = language;
  document.documentElement.dir = t('direction');
  document.getElementById('language-label').textContent = t('language');
  document.getElementById('language').value = language;
}

const day = time => new Intl.DateTimeFormat(state.language, { dateStyle: 'medium' }).format(new Date(time));
const minute = time => new Intl.DateTimeFormat(state.language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(time));

// --- the API ---------------------------------------------------------------

// send posts JSON and returns what came back; errors of the whole request have
// no path.
async function send(address, body) {
  let answer, status;
  try {
    const response = await fetch(address, {
      method: 'POST', credentials: 'same-origin',
      headers: { 'Content-Type': 'application/json', Accept: 'application/json', 'Accept-Language': state.language },
      body: JSON.stringify(body),
    });
    status = response.status;
    answer = await response.json();
  } catch {
    return { errors: [problem({ code: 'OFFLINE' })] };
  }
  const errors = (answer.errors ?? []).map(e => problem({ path: e.extensions?.path, code: e.extensions?.code, message: e.message }));
  if (status >= 400 && errors.length === 0) errors.push(problem({ code: 'INTERNAL' }));
  return { ...answer, errors };
}

// problem is an error with a message in the chosen language, where there is
// one for its field and code, or for its code.
function problem({ path = '', code = 'INTERNAL', message = '' }) {
  for (const key of [`error.${path}.${code}`, `error.${code}`]) if (has(key)) return { path, code, message: t(key) };
  return { path, code, message: message || t('error.INTERNAL') };
}

// ask runs a query.
async function ask(query, variables) {
  return send('/graphql', { query, variables });
}

// act runs a mutation with one input and returns its payload, with everything
// that was wrong in errors.
async function act(name, type, input, selection) {
  const query = type
    ? `mutation Do($input: ${type}!) { ${name}(input: $input) { ${selection} errors { path code message } } }`
    : `mutation Do { ${name} { ${selection} errors { path code message } } }`;
  const answer = await ask(query, type ? { input } : undefined);
  const payload = answer.data?.[name];
  return { ...payload, errors: [...answer.errors, ...(payload?.errors ?? []).map(problem)] };
}

async function load() {
  const answer = await ask(`{
    viewer {
      user { id name email languages timeZone hasPassword hasSecondFactor isSample identities { issuer subject email } }
      memberships { role member { id name { text } } }
      secretariat
      sessions { id isCurrent createdAt lastSeenAt address agent provider }
      tokens { id name scope createdAt expiresAt lastUsedAt }
    }
    signInProviders { name title issuer }
  }`);
  if (answer.data?.viewer) {
    state.viewer = answer.data.viewer;
    state.providers = answer.data.signInProviders;
  }
  return answer.errors;
}

// leave goes to sign in with another account at a provider, or shows what is wrong.
async function leave(provider, wish) {
  const { address, errors } = await send(`/auth/${provider}/start`, wish);
  if (address) location.assign(address);
  return errors;
}

// --- pages -----------------------------------------------------------------

function where() {
  const p = new URLSearchParams(location.hash.slice(1));
  return { get: name => p.get(name), has: name => p.has(name) };
}

// enter goes to the page of a hash, empty for the account, without one more
// entry in the history: a spent link must not be there.
async function enter(hash = '') {
  history.replaceState(null, '', '/account' + (hash && '#' + hash));
  await load();
  if (!localStorage.getItem('language') && state.viewer?.user?.languages.length) speak(choose(state.viewer.user.languages));
  await show();
}

// show shows the page that the address names.
async function show({ quietly } = {}) {
  const at = where(), [, path, code] = /^(?:(.*)\.)?(\w+)$/.exec(at.get('error') ?? '') ?? [];
  let page;
  if (at.has('invitation')) page = await invitation(at.get('invitation'));
  else if (at.get('reset')) page = newPassword(at.get('reset'));
  else if (at.has('reset')) page = forgotten();
  else if (at.get('email')) page = newAddress(at.get('email'));
  else if (at.has('code')) page = providerCode();
  else if (state.viewer?.user) page = account();
  else page = signIn();
  main.className = page.wide ? '' : 'narrow';
  document.title = `${page.title} - Citymarket`;
  const heading = h('h1', { tabindex: '-1' }, page.title);
  main.replaceChildren(heading, code ? h('p', { class: 'banner', role: 'alert' }, problem({ path, code }).message) : '', ...page.parts.filter(Boolean));
  if (!quietly) heading.focus();
}

const plain = (label, act) => h('button', { type: 'button', class: 'plain', click: act }, label);
const card = (...children) => h('section', { class: 'card' }, ...children);
const email = { name: 'email', type: 'email', autocomplete: 'username', inputmode: 'email' };
const password = { name: 'password', type: 'password', autocomplete: 'current-password' };
const fresh = () => ({ name: 'password', type: 'password', autocomplete: 'new-password', label: t('newPassword'), hint: t('passwordHint') });
const code = () => ({ name: 'code', label: t('code'), hint: t('codeHint'), autocomplete: 'one-time-code' });

// providers are buttons that leave for a provider.
function providers(wish) {
  if (state.providers.length === 0) return null;
  const wrong = h('p', { class: 'error', role: 'alert' });
  return h('div', { class: 'or' }, state.providers.map(p => h('button', { type: 'button', click: async () => {
    wrong.textContent = (await leave(p.name, wish())).map(e => e.message).join(' ');
  } }, t('with', { provider: p.title }))), wrong);
}

function signIn() {
  const box = card();
  const first = values => form({
    text: t, submit: t('signIn'),
    fields: values ? [code()] : [{ ...email, label: t('email') }, { ...password, label: t('password') }],
    send: async given => {
      const all = { ...values, ...given };
      const { user, errors } = await act('signIn', 'SignInInput', all, 'user { id }');
      if (user) return enter(location.hash.slice(1).replace(/(^|&)error=[^&]*/, ''));
      if (!values && errors.some(e => e.path === 'code' && e.code === 'REQUIRED')) {
        const second = first(all);
        box.replaceChildren(h('p', {}, t('codeNeeded')), second);
        second.querySelector('input').focus();
        return [];
      }
      return errors;
    },
    more: values ? plain(t('back'), () => show()) : plain(t('forgot'), () => { location.hash = 'reset'; }),
  });
  box.append(first(), providers(() => ({ intent: 'signin', return: '/account' + location.hash.replace(/^#error=.*/, '') })) ?? '');
  return { title: t('signIn'), parts: [box, h('p', { class: 'card quiet small' }, t('noAccount'))] };
}

function providerCode() {
  return { title: t('secondFactor'), parts: [card(h('p', {}, t('codeNeeded')), form({
    text: t, submit: t('signIn'), fields: [code()],
    send: async values => {
      const { address, errors } = await send('/auth/code', values);
      if (/^\/account(#|$)/.test(address)) await enter(address.split('#')[1]);
      else if (address) location.replace(address);
      return errors;
    },
    more: plain(t('back'), () => enter()),
  }))] };
}

async function invitation(link) {
  const title = t('invitation');
  const answer = await ask(`query Invitation($link: String!) { invitation(link: $link) { email role expiresAt member { name { text } } } }`, { link });
  const it = answer.data?.invitation;
  if (!it) return { title, parts: [card(h('p', {}, answer.errors[0]?.message ?? t('error.EXPIRED')), plain(t('toAccount'), () => enter()))] };
  const what = card(
    h('p', {}, it.member ? t('invitedTo', { member: it.member.name.text, role: t('role.' + it.role) }) : t('invitedToSecretariat', { role: t('role.' + it.role) })),
    it.email && h('p', {}, t('invitedAs', { email: it.email })),
    h('p', { class: 'quiet small' }, t('holdsUntil', { time: minute(it.expiresAt) })));
  const user = state.viewer?.user;
  if (user) {
    return { title, parts: [what, card(form({
      text: t, submit: t('acceptAs', { name: user.name }), fields: [],
      send: async () => {
        const { user: joined, errors } = await act('acceptInvitation', 'AcceptInvitationInput', { link }, 'user { id }');
        if (joined) { await enter(); say(t('accepted')); }
        return errors;
      },
      more: plain(t('signOut'), async () => { await act('signOut', null, null, 'done'); await enter(location.hash.slice(1)); }),
    }))] };
  }
  const extra = it.email ? [] : [{ ...email, label: t('email') }];
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const box = form({
    text: t, submit: t('accept'),
    fields: [{ name: 'name', label: t('name'), autocomplete: 'name', autocapitalize: 'words' }, ...extra, fresh()],
    send: async values => {
      const languages = [...new Set([state.language, ...navigator.languages])].slice(0, 5);
      const { user: made, errors } = await act('acceptInvitation', 'AcceptInvitationInput', { ...values, link, languages, timeZone: zone }, 'user { id }');
      if (made) { await enter(); say(t('accepted')); }
      return errors;
    },
    more: plain(t('haveAccount'), () => {
      const page = signIn();
      main.replaceChildren(h('h1', { tabindex: '-1' }, page.title), h('p', { class: 'quiet' }, t('thenAccept')), page.parts[0]);
      main.querySelector('input').focus();
    }),
  });
  const given = name => box.elements.namedItem(name)?.value ?? '';
  return { title, parts: [what, card(h('h2', {}, t('newAccount')), box, providers(() => ({
    intent: 'accept', link, name: given('name'), email: given('email'), timeZone: zone })))] };
}

function forgotten() {
  return { title: t('forgotTitle'), parts: [card(form({
    text: t, submit: t('sendLink'), fields: [{ ...email, label: t('email') }],
    send: async (values, e) => {
      const { done, errors } = await act('requestReset', 'EmailInput', values, 'done');
      if (done) e.replaceWith(h('p', { role: 'status' }, t('linkSent')));
      return errors;
    },
    more: plain(t('back'), () => { location.hash = ''; }),
  }))] };
}

function newPassword(link) {
  return { title: t('setPassword'), parts: [card(form({
    text: t, submit: t('setPassword'), fields: [fresh()],
    send: async values => {
      const { done, errors } = await act('resetPassword', 'ResetPasswordInput', { ...values, link }, 'done');
      if (done) { await enter(); say(t('passwordSet')); }
      return errors;
    },
  }))] };
}

function newAddress(link) {
  return { title: t('confirmEmail'), parts: [card(h('p', {}, t('confirmEmailHint')), form({
    text: t, submit: t('confirmEmail'), fields: [],
    send: async () => {
      const { done, errors } = await act('confirmEmail', 'LinkInput', { link }, 'done');
      if (done) { await enter(); say(t('emailChanged')); }
      return errors;
    },
  }))] };
}

// --- the account -----------------------------------------------------------

// redo loads the account anew and says what was done, with the focus on the
// heading of the section that it was done in.
async function redo(section, done) {
  await load();
  await show({ quietly: true });
  document.getElementById(section)?.focus();
  say(done);
}

const section = (id, title, ...children) => h('section', { class: 'card', 'aria-labelledby': id }, h('h2', { id, tabindex: '-1' }, title), ...children);
const more = (title, ...children) => h('details', {}, h('summary', {}, title), ...children);
const asks = user => user.hasPassword ? [{ ...password, label: t('password') }] : [];

function account() {
  const { user } = state.viewer;
  return { wide: true, title: user.name, parts: [
    who(user), profile(user), passwords(user), factor(user), identities(user), tokens(), sessions(),
  ] };
}

function who(user) {
  const { memberships, secretariat } = state.viewer;
  const teams = memberships.map(m => [m.member?.name.text ?? '', m.role]);
  if (secretariat) teams.push([t('secretariat'), secretariat]);
  return card(
    h('div', { class: 'row apart' }, h('p', {}, user.email, ' ', user.isSample && h('span', { class: 'badge' }, t('sample'))),
      h('button', { type: 'button', click: async () => { await act('signOut', null, null, 'done'); await enter(); } }, t('signOut'))),
    h('ul', { class: 'list' }, teams.map(([name, role]) => h('li', {}, h('div', {}, name), h('span', { class: 'badge' }, t('role.' + role))))),
    teams.length === 0 && h('p', { class: 'quiet' }, t('noTeams')),
    h('p', { class: 'quiet small' }, t('explorer'), ' ', h('a', { href: '/graphiql/' }, t('toExplorer'))));
}

function profile(user) {
  const zones = h('datalist', { id: 'zones' }, Intl.supportedValuesOf('timeZone').map(z => h('option', { value: z })));
  return section('profile', t('profile'),
    more(t('editProfile'), zones, form({
      text: t, submit: t('save'),
      fields: [
        { name: 'name', label: t('name'), value: user.name, autocomplete: 'name', autocapitalize: 'words' },
        { name: 'languages', label: t('yourLanguages'), hint: t('languagesHint'), value: user.languages.join(', '), required: false },
        { name: 'timeZone', label: t('timeZone'), value: user.timeZone ?? '', list: 'zones', required: false },
      ],
      send: async values => {
        const content = { name: values.name, languages: values.languages.split(/[\s,;]+/).filter(Boolean), timeZone: values.timeZone || null };
        const { user: changed, errors } = await act('editUser', 'EditUserInput', { content }, 'user { id }');
        if (changed) await redo('profile', t('saved'));
        return errors.map(e => ({ ...e, path: e.path.split('[')[0] }));
      },
    })),
    more(t('changeEmail'), form({
      text: t, user: user.email, submit: t('sendLink'),
      fields: [{ ...email, label: t('newEmail'), autocomplete: 'email' }, ...asks(user)],
      send: async values => {
        const { done, errors } = await act('requestEmail', 'RequestEmailInput', values, 'done');
        if (done) await redo('profile', t('linkSent'));
        return errors;
      },
    })));
}

function passwords(user) {
  return section('passwords', t('password'),
    !user.hasPassword && h('p', { class: 'quiet' }, t('noPassword')),
    more(user.hasPassword ? t('changePassword') : t('setPassword'), form({
      text: t, user: user.email, submit: t('setPassword'),
      fields: [...(user.hasPassword ? [{ ...password, name: 'current', label: t('currentPassword') }] : []), fresh()],
      send: async values => {
        const { user: changed, errors } = await act('changePassword', 'ChangePasswordInput', values, 'user { id }');
        if (changed) await redo('passwords', t('passwordSet'));
        return errors;
      },
    })));
}

function factor(user) {
  const box = section('factor', t('secondFactor'), h('p', { class: 'quiet' }, t(user.hasSecondFactor ? 'factorOn' : 'factorOff')));
  if (user.hasSecondFactor) {
    box.append(more(t('turnOff'), form({
      text: t, user: user.email, submit: t('turnOff'), fields: [...asks(user), code()],
      send: async values => {
        const { user: changed, errors } = await act('removeFactor', 'RemoveFactorInput', values, 'user { id }');
        if (changed) await redo('factor', t('factorOff'));
        return errors;
      },
    })));
    return box;
  }
  const step = more(t('turnOn'), form({
    text: t, user: user.email, submit: t('next'), fields: asks(user),
    send: async values => {
      const { factor: made, errors } = await act('setUpFactor', 'PasswordInput', values, 'factor { secret uri }');
      if (made) confirmFactor(step, made);
      return errors;
    },
  }));
  box.append(step);
  return box;
}

function confirmFactor(step, made) {
  const rows = matrix(made.uri);
  step.replaceChildren(step.firstChild, h('p', {}, t('scan')), rows ? drawing(rows, t('qr')) : '',
    h('p', { class: 'small' }, h('a', { href: made.uri }, t('openAuthenticator'))),
    h('p', { class: 'small quiet' }, t('orType')), h('code', { class: 'secret' }, made.secret), form({
      text: t, submit: t('turnOn'), fields: [{ ...code(), hint: null, inputmode: 'numeric' }],
      send: async values => {
        const { codes, errors } = await act('confirmFactor', 'CodeInput', values, 'codes');
        if (codes) {
          await redo('factor', t('factorOn'));
          const list = codes.join('\n');
          document.getElementById('factor').after(h('p', {}, t('recovery')),
            h('ul', { class: 'codes secret', id: 'recovery' }, codes.map(c => h('li', {}, c))), h('p', {}, copier(list, t)));
        }
        return errors;
      },
    }));
  step.querySelector('input').focus();
}

function identities(user) {
  const known = issuer => state.providers.find(p => p.issuer === issuer)?.title ?? issuer;
  const addable = state.providers.filter(p => !user.identities.some(i => i.issuer === p.issuer));
  if (user.identities.length + addable.length === 0) return null;
  const wrong = h('p', { class: 'error', role: 'alert' });
  return section('identities', t('otherAccounts'),
    h('p', { class: 'quiet' }, t('otherAccountsHint')), wrong,
    h('ul', { class: 'list' }, user.identities.map(i => h('li', {}, h('div', {}, known(i.issuer), h('div', { class: 'quiet small' }, i.email ?? i.subject)),
      sure({ label: t('unlink'), question: t('really'), name: known(i.issuer), act: async () => {
        const { user: changed, errors } = await act('removeIdentity', 'RemoveIdentityInput', { issuer: i.issuer, subject: i.subject }, 'user { id }');
        if (changed) await redo('identities', t('saved'));
        wrong.textContent = errors.map(e => e.message).join(' ');
      } })))),
    addable.map(p => more(t('link', { provider: p.title }), form({
      text: t, user: user.email, submit: t('with', { provider: p.title }), fields: asks(user),
      send: values => leave(p.name, { intent: 'link', ...values }),
    }))));
}

function tokens() {
  const year = new Date(Date.now() + 90 * 86400e3).toISOString().slice(0, 10);
  const wrong = h('p', { class: 'error', role: 'alert' });
  return section('tokens', t('tokens'), h('p', { class: 'quiet' }, t('tokensHint')), wrong,
    h('ul', { class: 'list' }, state.viewer.tokens.map(k => h('li', {}, h('div', {}, k.name, ' ', h('span', { class: 'badge' }, t('scope.' + k.scope)),
      h('div', { class: 'quiet small' }, t('until', { time: day(k.expiresAt) }), ' · ', k.lastUsedAt ? t('lastUsed', { time: minute(k.lastUsedAt) }) : t('neverUsed'))),
    sure({ label: t('revoke'), question: t('really'), name: k.name, act: async () => {
      const { done, errors } = await act('revokeToken', 'IdInput', { id: k.id }, 'done');
      if (done) await redo('tokens', t('revoked'));
      wrong.textContent = errors.map(e => e.message).join(' ');
    } })))),
    more(t('addToken'), form({
      text: t, submit: t('addToken'),
      fields: [
        { name: 'name', label: t('tokenName'), hint: t('tokenNameHint'), autocomplete: 'off' },
        { name: 'scope', label: t('scope'), options: [['READ', t('scope.READ')], ['WRITE', t('scope.WRITE')]] },
        { name: 'expiresAt', label: t('expires'), type: 'date', value: year },
      ],
      send: async values => {
        const { token, secret, errors } = await act('addToken', 'AddTokenInput', { ...values, expiresAt: values.expiresAt + 'T12:00:00Z' }, 'token { id } secret');
        if (token) {
          await redo('tokens', t('tokenMade'));
          const curl = `curl ${location.origin}/graphql \\\n  -H 'Authorization: Bearer ${secret}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{"query":"{ viewer { user { name } } }"}'`;
          document.getElementById('tokens').after(h('p', {}, t('tokenOnce')), h('code', { class: 'secret', id: 'secret' }, secret),
            h('p', {}, copier(secret, t)), h('p', { class: 'small quiet' }, t('tryIt')), h('pre', { class: 'secret' }, curl));
        }
        return errors;
      },
    })));
}

// client is what a browser calls itself, cut down to what people call it.
function client(agent) {
  if (!agent) return t('unknownClient');
  const browser = [['Edg', 'Edge'], ['OPR', 'Opera'], ['Firefox'], ['Chrome'], ['Safari']].find(([mark]) => agent.includes(mark + '/'));
  const system = ['Android', 'iPhone', 'iPad', 'Windows', 'Mac OS', 'Linux'].find(name => agent.includes(name));
  return browser ? [browser.at(-1), system].filter(Boolean).join(', ') : agent.slice(0, 60);
}

function sessions() {
  const list = state.viewer.sessions, wrong = h('p', { class: 'error', role: 'alert' });
  const ended = async (name, type, input) => {
    const { done, errors } = await act(name, type, input, 'done');
    if (done) await redo('sessions', t('sessionEnded'));
    wrong.textContent = errors.map(e => e.message).join(' ');
  };
  return section('sessions', t('sessions'), wrong,
    h('ul', { class: 'list' }, list.map(s => h('li', {}, h('div', {}, client(s.agent), ' ', s.isCurrent && h('span', { class: 'badge' }, t('thisOne')),
      h('div', { class: 'quiet small' }, [s.address, t('lastUsed', { time: minute(s.lastSeenAt) })].filter(Boolean).join(' · '))),
    !s.isCurrent && sure({ label: t('end'), question: t('really'), name: client(s.agent), act: () => ended('endSession', 'IdInput', { id: s.id }) })))),
    list.length > 1 && sure({ label: t('endOthers'), question: t('really'), act: () => ended('endOtherSessions') }));
}

// --- begin -----------------------------------------------------------------

async function begin() {
  state.words = await (await fetch('/account/words.json')).json();
  const select = document.getElementById('language');
  select.replaceChildren(...Object.entries(state.words).map(([tag, words]) => h('option', { value: tag, lang: tag }, words.self)));
  select.addEventListener('change', () => {
    localStorage.setItem('language', select.value);
    speak(select.value);
    load().then(() => show({ quietly: true }));
  });
  speak(choose([localStorage.getItem('language'), ...navigator.languages].filter(Boolean)));
  const errors = await load();
  if (!localStorage.getItem('language') && state.viewer?.user?.languages.length) speak(choose(state.viewer.user.languages));
  addEventListener('hashchange', () => show());
  await show({ quietly: true });
  if (errors.length > 0) main.prepend(h('p', { class: 'banner', role: 'alert' }, errors[0].message));
}

begin();
