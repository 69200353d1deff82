// Runs a WASI preview-1 program on the core under Node's engine, with all of its files in memory.
//
//   node run.mjs CORE.wasm [--dir HOST::GUEST[:ro]]... [--env NAME=VALUE]... [--limit NAME=VALUE]...
//                [--print GUEST_FILE] PROGRAM.wasm [-- ARGS...]
//
// Ends with the program's exit code, 134 when it traps, 125 when it cannot be started. `--print` writes a file of the
// guest to standard output after the program has ended.

import fs from 'node:fs';
import path from 'node:path';
import { randomFillSync } from 'node:crypto';

const CANNOT_START = 125;
const REFUSED = 126;
const TRAPPED = 134;
const IO = 29;
const PIPE = 64;
const WAIT = -1;

class Exit {
  constructor(code) {
    this.code = code;
  }
}

function fail(message, code = CANNOT_START) {
  process.stderr.write(`error: ${message}\n`);
  process.exit(code);
}

function quantity(text) {
  const [, number, unit] = /^(\d+)(KiB|MiB|GiB)?$/.exec(text) ?? fail(`\`${text}\` is no quantity`);
  return BigInt(number) << { undefined: 0n, KiB: 10n, MiB: 20n, GiB: 30n }[unit];
}

function parse(words) {
  const options = { core: words.shift(), dirs: [], env: [], limits: {}, args: [] };
  while (words.length > 0) {
    const word = words.shift();
    if (word === '--dir') {
      const [, host, guest, readOnly] = /^(.*)::(.*?)(:ro)?$/.exec(words.shift());
      options.dirs.push({ host, guest, readOnly: readOnly !== undefined });
    } else if (word === '--env') {
      options.env.push(words.shift());
    } else if (word === '--limit') {
      const [name, value] = words.shift().split('=');
      options.limits[name] = quantity(value);
    } else if (word === '--print') {
      options.print = words.shift();
    } else if (word === '--') {
      options.args = words.splice(0);
    } else {
      options.program = word;
    }
  }
  return options;
}

const options = parse(process.argv.slice(2));
let core;
let guestMemory;

const coreBytes = (at, length) => new Uint8Array(core.memory.buffer, at >>> 0, length >>> 0);
const guestBytes = (at, length) => new Uint8Array(guestMemory.buffer, at >>> 0, length >>> 0);

/** Nanoseconds of a clock: the wall clock, the monotonic one, and CPU time. */
function now(clock) {
  switch (clock) {
    case 0:
      return BigInt(Math.round((performance.timeOrigin + performance.now()) * 1e6));
    case 1:
      return process.hrtime.bigint();
    default: {
      const { user, system } = process.cpuUsage();
      return BigInt(user + system) * 1000n;
    }
  }
}

/** Calls a synchronous file function of Node; waits where a stream is non-blocking and not ready. */
function blocking(call) {
  for (;;) {
    try {
      return call();
    } catch (error) {
      if (error.code === 'EAGAIN') {
        sleep(2);
      } else if (error.code === 'EOF') {
        return 0;
      } else {
        return error.code === 'EPIPE' ? -PIPE : -IO;
      }
    }
  }
}

function sleep(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

const host = {
  memory_size: () => BigInt(guestMemory?.buffer.byteLength ?? 0),
  memory_read: (at, into, length) => coreBytes(into, length).set(guestBytes(at, length)),
  memory_write: (at, from, length) => guestBytes(at, length).set(coreBytes(from, length)),
  clock_now: now,
  clock_resolution: (clock) => (clock === 0 || clock === 1 ? 1n : 1000n),
  random: (into, length) => void randomFillSync(coreBytes(into, length)),
  stream_read: (stream, into, length) => blocking(() => fs.readSync(stream, coreBytes(into, length))),
  stream_write: (stream, from, length) => blocking(() => fs.writeSync(stream, coreBytes(from, length))),
  stream_kind: (stream) => {
    try {
      const stat = fs.fstatSync(stream);
      return stat.isCharacterDevice() ? (stat.rdev === fs.statSync('/dev/null').rdev ? 3 : 0) : stat.isFile() ? 1 : 2;
    } catch {
      return 3;
    }
  },
};

/** Writes texts and bytes one behind the other into the core's buffer; returns the length of the first. */
function tell(...parts) {
  const bytes = parts.map((part) => Buffer.from(part));
  const all = Buffer.concat(bytes);
  const at = core.reserve(all.length);
  coreBytes(at, all.length).set(all);
  return bytes[0].length;
}

function must(errno, what) {
  if (errno !== 0) fail(`${what}: errno ${errno}`);
}

/** Copies a folder of the host into the memory file system. Links are copied as they are. */
function load(folder, prefix) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const from = path.join(folder, entry.name);
    const to = prefix + entry.name;
    if (entry.isDirectory()) {
      must(core.add_directory(tell(to)), to);
      load(from, `${to}/`);
    } else if (entry.isSymbolicLink()) {
      must(core.add_link(tell(to, fs.readlinkSync(from))), to);
    } else if (entry.isFile()) {
      must(core.add_file(tell(to, fs.readFileSync(from))), to);
    }
  }
}

function setUp() {
  const { disk = 0n, inodes = 0n, fds = 0n } = options.limits;
  core.set_limits(disk, inodes, Number(fds));
  for (const { host, guest, readOnly } of options.dirs) {
    tell(guest);
    must(core.add_folder(readOnly ? 1 : 0), guest);
    load(host, '');
  }
  for (const arg of [path.basename(options.program), ...options.args]) {
    tell(arg);
    must(core.add_arg(), arg);
  }
  for (const variable of options.env) {
    const at = variable.indexOf('=');
    must(core.add_env(tell(variable.slice(0, at), variable.slice(at + 1))), variable);
  }
  must(core.start(), 'start');
}

/** Sleeps until the deadline of the call that must wait. */
function waitForDeadline() {
  const clock = core.wait_clock();
  if (clock < 0) throw new Error('the core waits for something that is always ready');
  const left = BigInt.asUintN(64, core.wait_deadline()) - now(clock);
  if (left > 0n) sleep(Math.min(Math.ceil(Number(left) / 1e6), 2 ** 30));
}

/** The imports of a preview-1 program: each is the export of the core with its name, called until it is done. */
const preview1 = new Proxy(
  {},
  {
    get(_, name) {
      if (name === 'proc_exit') {
        return (code) => {
          throw new Exit(code >>> 0);
        };
      }
      const call = core[name];
      return (...args) => {
        for (;;) {
          const errno = call(...args);
          if (errno !== WAIT) return errno;
          waitForDeadline();
        }
      };
    },
  },
);

function instantiate(file, imports) {
  return new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), imports);
}

/** Loads the guest and runs it to its end. */
function run() {
  let module;
  try {
    module = new WebAssembly.Module(fs.readFileSync(options.program));
  } catch (error) {
    fail(`\`${options.program}\` cannot be loaded: ${error.message}`, REFUSED);
  }
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    if (from !== 'wasi_snapshot_preview1' || (name !== 'proc_exit' && !(name in core))) {
      fail(`\`${from}.${name}\` is imported and nobody offers it`, REFUSED);
    }
  }
  try {
    const guest = new WebAssembly.Instance(module, { wasi_snapshot_preview1: preview1 });
    guestMemory = guest.exports.memory;
    if (guest.exports._start === undefined) fail('there is no `_start` to run', REFUSED);
    guest.exports._start();
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.code > 255 ? 1 : error.code;
    process.stderr.write(`trap: ${error.message}\n`);
    return TRAPPED;
  }
}

core = instantiate(options.core, { host }).exports;
setUp();
const code = run();
if (options.print !== undefined) {
  tell(options.print);
  const length = Number(core.read_file());
  if (length < 0) fail(`\`${options.print}\`: errno ${-length}`);
  fs.writeSync(1, coreBytes(core.buffer(), length));
}
process.exitCode = code;
