// QR codes (ISO/IEC 18004) of texts: byte mode, error correction level M, versions 1 to 40.

// Of level M, by version: error correction codewords of each block, and blocks.
const CORRECTION = [0, 10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26, 26, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28, 28];
const BLOCKS = [0, 1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16, 17, 17, 18, 20, 21, 23, 25, 26, 28, 29, 31, 33, 35, 37, 38, 40, 43, 45, 47, 49];
const LEVEL_M = 0;

// matrix returns the modules of a text's code as rows of booleans, true where
// dark, without the quiet zone; null where the text is too long for any version.
export function matrix(text) {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= 40; version++) {
    const room = Math.floor(rawModules(version) / 8) - CORRECTION[version] * BLOCKS[version];
    if (4 + (version < 10 ? 8 : 16) + 8 * bytes.length <= 8 * room) {
      return draw(version, interleave(version, encode(bytes, version, room)));
    }
  }
  return null;
}

// rawModules counts the modules that hold data and its correction.
function rawModules(version) {
  let n = (16 * version + 128) * version + 64;
  if (version >= 2) {
    const aligned = Math.floor(version / 7) + 2;
    n -= (25 * aligned - 10) * aligned - 55;
    if (version >= 7) n -= 36;
  }
  return n;
}

function encode(bytes, version, room) {
  const bits = [];
  const put = (value, length) => { for (let i = length - 1; i >= 0; i--) bits.push((value >>> i) & 1); };
  put(4, 4);
  put(bytes.length, version < 10 ? 8 : 16);
  bytes.forEach(b => put(b, 8));
  put(0, Math.min(4, 8 * room - bits.length));
  put(0, (8 - bits.length % 8) % 8);
  for (let pad = 0xEC; bits.length < 8 * room; pad ^= 0xEC ^ 0x11) put(pad, 8);
  return Array.from({ length: room }, (_, i) => bits.slice(8 * i, 8 * i + 8).reduce((a, b) => 2 * a + b, 0));
}

// multiply is in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1.
function multiply(x, y) {
  let z = 0;
  for (let i = 7; i >= 0; i--) {
    z = (z << 1) ^ ((z >>> 7) * 0x11D);
    z ^= ((y >>> i) & 1) * x;
  }
  return z;
}

// divisor is the Reed-Solomon generator polynomial of a degree, without its leading 1.
function divisor(degree) {
  const out = new Array(degree).fill(0);
  out[degree - 1] = 1;
  for (let i = 0, root = 1; i < degree; i++, root = multiply(root, 2)) {
    for (let j = 0; j < degree; j++) {
      out[j] = multiply(out[j], root) ^ (j + 1 < degree ? out[j + 1] : 0);
    }
  }
  return out;
}

function remainder(data, by) {
  const out = new Array(by.length).fill(0);
  for (const b of data) {
    const factor = b ^ out.shift();
    out.push(0);
    by.forEach((c, i) => { out[i] ^= multiply(c, factor); });
  }
  return out;
}

// interleave cuts data into blocks, adds the correction of each, and deals
// them out in turn. The first blocks are one codeword shorter than the rest.
function interleave(version, data) {
  const count = BLOCKS[version], correction = CORRECTION[version], raw = Math.floor(rawModules(version) / 8);
  const short = count - raw % count, length = Math.floor(raw / count) - correction;
  const by = divisor(correction), blocks = [];
  for (let i = 0, at = 0; i < count; i++) {
    const part = data.slice(at, at += length + (i < short ? 0 : 1));
    blocks.push({ part, rest: remainder(part, by) });
  }
  const out = [];
  for (let i = 0; i <= length; i++) for (const b of blocks) if (i < b.part.length) out.push(b.part[i]);
  for (let i = 0; i < correction; i++) for (const b of blocks) out.push(b.rest[i]);
  return out;
}

const MASKS = [
  (x, y) => (x + y) % 2, (x, y) => y % 2, x => x % 3, (x, y) => (x + y) % 3,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2, (x, y) => x * y % 2 + x * y % 3,
  (x, y) => (x * y % 2 + x * y % 3) % 2, (x, y) => ((x + y) % 2 + x * y % 3) % 2,
];

function draw(version, codewords) {
  const size = 4 * version + 17;
  const dark = Array.from({ length: size }, () => new Array(size).fill(false));
  const fixed = Array.from({ length: size }, () => new Array(size).fill(false));
  const set = (x, y, on) => { dark[y][x] = Boolean(on); fixed[y][x] = true; };

  for (let i = 0; i < size; i++) { set(6, i, i % 2 === 0); set(i, 6, i % 2 === 0); }
  for (const [cx, cy] of [[3, 3], [size - 4, 3], [3, size - 4]]) {
    for (let dy = -4; dy <= 4; dy++) for (let dx = -4; dx <= 4; dx++) {
      const x = cx + dx, y = cy + dy, ring = Math.max(Math.abs(dx), Math.abs(dy));
      if (x >= 0 && x < size && y >= 0 && y < size) set(x, y, ring !== 2 && ring !== 4);
    }
  }
  const centres = alignment(version, size), last = centres.length - 1;
  centres.forEach((cx, i) => centres.forEach((cy, j) => {
    if (i === 0 && j === 0 || i === 0 && j === last || i === last && j === 0) return;
    for (let dy = -2; dy <= 2; dy++) for (let dx = -2; dx <= 2; dx++) set(cx + dx, cy + dy, Math.max(Math.abs(dx), Math.abs(dy)) !== 1);
  }));
  drawFormat(set, size, 0);
  if (version >= 7) drawVersion(set, size, version);

  // Upwards and downwards in pairs of columns from the right, past the timing pattern.
  let i = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) for (const x of [right, right - 1]) {
      const y = ((right + 1) & 2) === 0 ? size - 1 - step : step;
      if (!fixed[y][x] && i < 8 * codewords.length) {
        dark[y][x] = Boolean((codewords[i >>> 3] >>> (7 - (i & 7))) & 1);
        i++;
      }
    }
  }

  let best = null, least = Infinity;
  MASKS.forEach((mask, number) => {
    drawFormat(set, size, number);
    const tried = dark.map((row, y) => row.map((on, x) => fixed[y][x] ? on : on !== (mask(x, y) === 0)));
    const p = penalty(tried);
    if (p < least) { least = p; best = tried; }
  });
  return best;
}

function alignment(version, size) {
  if (version === 1) return [];
  const count = Math.floor(version / 7) + 2;
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const out = [6];
  for (let at = size - 7; out.length < count; at -= step) out.splice(1, 0, at);
  return out;
}

function drawFormat(set, size, mask) {
  const data = LEVEL_M << 3 | mask;
  let rest = data;
  for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537);
  const bits = (data << 10 | rest) ^ 0x5412, bit = i => (bits >>> i) & 1;
  for (let i = 0; i <= 5; i++) set(8, i, bit(i));
  set(8, 7, bit(6)); set(8, 8, bit(7)); set(7, 8, bit(8));
  for (let i = 9; i < 15; i++) set(14 - i, 8, bit(i));
  for (let i = 0; i < 8; i++) set(size - 1 - i, 8, bit(i));
  for (let i = 8; i < 15; i++) set(8, size - 15 + i, bit(i));
  set(8, size - 8, true);
}

function drawVersion(set, size, version) {
  let rest = version;
  for (let i = 0; i < 12; i++) rest = (rest << 1) ^ ((rest >>> 11) * 0x1F25);
  const bits = version << 12 | rest;
  for (let i = 0; i < 18; i++) {
    const a = size - 11 + i % 3, b = Math.floor(i / 3), on = (bits >>> i) & 1;
    set(a, b, on); set(b, a, on);
  }
}

// penalty says how hard a code is to read; the mask with the least is taken.
function penalty(rows) {
  const size = rows.length;
  let sum = 0, on = 0;
  for (const lines of [rows, rows.map((_, x) => rows.map(row => row[x]))]) {
    for (const line of lines) {
      for (let x = 0, run = 0; x < size; x++) {
        run = x > 0 && line[x] === line[x - 1] ? run + 1 : 1;
        if (run === 5) sum += 3; else if (run > 5) sum++;
      }
      const s = line.map(Number).join('');
      for (let x = 0; x + 11 <= size; x++) {
        const part = s.slice(x, x + 11);
        if (part === '10111010000' || part === '00001011101') sum += 40;
      }
    }
  }
  for (let y = 0; y < size; y++) for (let x = 0; x < size; x++) {
    if (rows[y][x]) on++;
    if (x && y && rows[y][x] === rows[y][x - 1] && rows[y][x] === rows[y - 1][x] && rows[y][x] === rows[y - 1][x - 1]) sum += 3;
  }
  return sum + 10 * Math.floor(Math.abs(on * 20 - size * size * 10) / (size * size));
}
