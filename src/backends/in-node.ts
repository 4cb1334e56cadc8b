/** IN_NODE: whether this is Node, or a program that takes its place (Bun, Deno); else a browser. Whatever differs asks here. */

export const IN_NODE = typeof process !== 'undefined' && process.versions?.node !== undefined;
