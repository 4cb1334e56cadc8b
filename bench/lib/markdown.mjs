/**
 * Markdown that programs write: tables, and blocks between markers inside a text that people write.
 *
 * A block is `<!-- generated: NAME -->`, lines, `<!-- /generated -->`. Everything outside of the blocks stays as it is.
 */

const BLOCK = /(<!-- generated: ([\w-]+) -->\n)[\s\S]*?(<!-- \/generated -->)/g;

/** A table of `rows` by `columns` `[{ title, of, left }]`; numbers stand to the right. */
export function table(rows, columns) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = columns.map(({ left }) => (left ? '---' : '--:'));
  const body = rows.map((row) => line(columns.map(({ of }) => String(of(row) ?? '-').replaceAll('|', '\\|'))));
  return [line(columns.map(({ title }) => title)), line(rule), ...body].join('\n');
}

/** `text` with each block filled by `blocks[NAME]`. Throws where a block has no content or a content no block. */
export function fillBlocks(text, blocks) {
  const missing = new Set(Object.keys(blocks));
  const filled = text.replace(BLOCK, (_, begin, name, end) => {
    if (blocks[name] === undefined) throw new Error(`nothing is generated for the block "${name}".`);
    missing.delete(name);
    return `${begin}${blocks[name]}\n${end}`;
  });
  if (missing.size > 0) throw new Error(`the text has no block for ${[...missing].join(', ')}.`);
  return filled;
}
