// Elements, forms and messages: what the pages are made of. Texts become text
// nodes only, so nothing that comes from the API is ever read as markup.

// h makes an element: properties that are functions are listeners, others
// attributes; children are elements, texts, or nothing.
export function h(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === 'function') e.addEventListener(key, value);
    else if (value === true) e.setAttribute(key, '');
    else if (value !== false && value != null) e.setAttribute(key, value);
  }
  e.append(...children.flat().filter(c => c != null && c !== false && c !== ''));
  return e;
}

// say tells people, those who cannot see it included, that something was done.
export function say(text) {
  const status = document.getElementById('status');
  status.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { status.textContent = ''; }, 6000);
}

let numbered = 0;

// form makes a form. A field is {name, label, type, hint, value, ...attributes
// of its input}. send gets the values and returns what is wrong with them, a list of
// {path, message}; each is shown at the field that its path names, the rest above.
// text says the words of buttons. user is the address whose password is asked
// for or set, where no field says it: for password managers.
export function form({ fields, submit, text, send, more, user }) {
  const general = h('p', { class: 'banner', role: 'alert' });
  const made = fields.map(f => field(f, text));
  const button = h('button', { class: 'main', type: 'submit' }, submit);
  const e = h('form', { novalidate: true, submit: async event => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    const values = Object.fromEntries(made.map(f => [f.name, f.input.value]));
    let errors = made.filter(f => f.required && f.input.value === '').map(f => ({ path: f.name, message: text('required') }));
    if (errors.length === 0) errors = await send(values, e) ?? [];
    button.disabled = false;
    general.textContent = '';
    for (const f of made) f.complain('');
    let first = null;
    for (const { path, message } of errors) {
      const at = made.find(f => f.name === path);
      if (at) at.complain(message);
      else general.textContent += (general.textContent ? ' ' : '') + message;
      first ??= at?.input;
    }
    first?.focus();
  } }, general, user && h('input', { type: 'text', value: user, autocomplete: 'username', readonly: true, tabindex: '-1', 'aria-hidden': 'true', class: 'hidden' }), made.map(f => f.element), h('div', { class: 'row' }, button, more));
  return e;
}

function field({ name, label, type = 'text', hint, options, value, required = true, ...rest }, text) {
  const id = `f${++numbered}`;
  const error = h('p', { class: 'error', id: id + 'e', 'aria-live': 'polite' });
  const attributes = { id, name, required, 'aria-describedby': (hint ? id + 'h ' : '') + id + 'e', ...rest };
  const input = options
    ? h('select', attributes, options.map(([v, words]) => h('option', { value: v, selected: v === value }, words)))
    : h('input', { type, autocapitalize: 'none', spellcheck: 'false', ...attributes });
  if (!options) input.value = value ?? '';
  let control = input;
  if (type === 'password') {
    const show = h('button', { type: 'button', 'aria-pressed': 'false', 'aria-controls': id, click: () => {
      const shown = input.type === 'password';
      input.type = shown ? 'text' : 'password';
      show.setAttribute('aria-pressed', String(shown));
      show.textContent = text(shown ? 'hide' : 'show');
    } }, text('show'));
    control = h('div', { class: 'with-button' }, input, show);
  }
  return {
    name, input, required,
    element: h('div', { class: 'field' }, h('label', { for: id }, label), control, hint && h('p', { class: 'hint', id: id + 'h' }, hint), error),
    complain(message) {
      error.textContent = message;
      if (message) input.setAttribute('aria-invalid', 'true');
      else input.removeAttribute('aria-invalid');
    },
  };
}

// sure makes a button that asks once more before it acts.
export function sure({ label, question, act, name }) {
  const button = h('button', { type: 'button', class: 'danger', 'aria-label': name && `${label}: ${name}`, click: async () => {
    if (button.dataset.asked) {
      button.disabled = true;
      await act();
      button.disabled = false;
      return;
    }
    button.dataset.asked = 'yes';
    button.textContent = question;
    button.setAttribute('aria-label', name ? `${question} ${name}` : question);
  }, blur: () => {
    delete button.dataset.asked;
    button.textContent = label;
    button.setAttribute('aria-label', name ? `${label}: ${name}` : label);
  } }, label);
  return button;
}

// copier makes a button that copies a text.
export function copier(value, text) {
  return h('button', { type: 'button', click: async () => {
    try {
      await navigator.clipboard.writeText(value);
      say(text('copied'));
    } catch {
      say(text('copyByHand'));
    }
  } }, text('copy'));
}

// drawing draws the rows of a QR code with a quiet zone of four modules.
export function drawing(rows, label) {
  const svg = (name, attributes) => {
    const e = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
    return e;
  };
  const size = rows.length + 8;
  const out = svg('svg', { class: 'qr', viewBox: `0 0 ${size} ${size}`, 'shape-rendering': 'crispEdges', role: 'img', 'aria-label': label });
  let path = '';
  rows.forEach((row, y) => row.forEach((on, x) => { if (on) path += `M${x + 4} ${y + 4}h1v1h-1z`; }));
  out.append(svg('path', { d: path, fill: '#000' }));
  return out;
}
