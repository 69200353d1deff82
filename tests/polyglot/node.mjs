// Runs a program under Node's own WASI: node.mjs MODULE FOLDERS ARGUMENTS..., FOLDERS being a JSON list of [host, guest].

import { readFile } from 'node:fs/promises';
import { argv, env, exit } from 'node:process';
import { WASI } from 'node:wasi';

const [module, folders, ...rest] = argv.slice(2);
const preopens = Object.fromEntries(JSON.parse(folders).map(([host, guest]) => [guest, host]));
const variables = { ...env };
delete variables.PATH;
const wasi = new WASI({ version: 'preview1', args: [module, ...rest], env: variables, preopens, returnOnExit: true });
try {
    const compiled = await WebAssembly.compile(await readFile(module));
    const instance = await WebAssembly.instantiate(compiled, wasi.getImportObject());
    exit(wasi.start(instance));
} catch (error) {
    console.error(error);
    // What a shell says of a program that aborts.
    exit(134);
}
