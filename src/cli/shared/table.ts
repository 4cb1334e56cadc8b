/**
 * Tables in plain text: aligned columns, numbers to the right, a rule under the titles.
 *
 * A table that is too wide gives up the ends of its longest text columns first; where that is not enough, each row is
 * printed as a block of `title  value` lines, so that no number is ever cut.
 */

import { formatInteger, formatNumber } from '../../util/format.ts';
import { cut, widthOf } from './terminal.ts';

export type TableRow = Readonly<Record<string, unknown>>;

export interface Column {
  /** The field of the row. */
  key: string;
  /** Heading; the key where left out. */
  title?: string;
  /** Where left out: right if every value of the column is a number or looks like one. */
  align?: 'left' | 'right';
  /** Text of a value; where left out: whole numbers whole, others with three digits, null and undefined empty. */
  format?: (value: never) => string;
}

const GAP = '  ';
const NARROWEST_TEXT_COLUMN = 8;
const LOOKS_NUMERIC = /^[-+~<>]?(\d|-$|$)/;

interface Layout {
  title: string;
  cells: string[];
  right: boolean;
  width: number;
}

/** The lines of a table, none longer than `columns` where that can be had; no lines for no rows. */
export function formatTable(rows: readonly TableRow[], columns: readonly Column[], maxColumns = Infinity): string[] {
  if (rows.length === 0) return [];
  const layouts = columns.map((column) => layOut(rows, column));
  const spare = (): number => maxColumns - totalWidth(layouts);
  while (spare() < 0) {
    const widest = widestText(layouts);
    if (widest === undefined) return formatBlocks(layouts, rows.length);
    widest.width = Math.max(NARROWEST_TEXT_COLUMN, widest.width + Math.max(spare(), -4));
  }
  const lines = rows.map((_, row) => joinCells(layouts.map((layout) => align(layout.cells[row], layout))));
  const titles = joinCells(layouts.map((layout) => align(layout.title, layout)));
  const rule = joinCells(layouts.map((layout) => '─'.repeat(layout.width)));
  return [titles, rule, ...lines];
}

function layOut(rows: readonly TableRow[], column: Column): Layout {
  const title = column.title ?? column.key;
  const cells = rows.map((row) => textOf(row[column.key], column).replace(/\s*[\r\n]+\s*/g, ' '));
  const right = column.align ? column.align === 'right' : cells.every((cell) => LOOKS_NUMERIC.test(cell));
  return { title, cells, right, width: Math.max(...[title, ...cells].map(widthOf)) };
}

function textOf(value: unknown, column: Column): string {
  if (value === null || value === undefined) return '';
  if (column.format) return column.format(value as never);
  if (typeof value !== 'number') return String(value);
  return Number.isInteger(value) ? formatInteger(value) : formatNumber(value);
}

function totalWidth(layouts: readonly Layout[]): number {
  return layouts.reduce((sum, layout) => sum + layout.width, GAP.length * (layouts.length - 1));
}

function widestText(layouts: readonly Layout[]): Layout | undefined {
  const texts = layouts.filter((layout) => !layout.right && layout.width > NARROWEST_TEXT_COLUMN);
  return texts.sort((a, b) => b.width - a.width)[0];
}

function align(text: string, { right, width }: Layout): string {
  const shown = cut(text, width);
  const padding = ' '.repeat(width - widthOf(shown));
  return right ? padding + shown : shown + padding;
}

function joinCells(cells: readonly string[]): string {
  return cells.join(GAP).trimEnd();
}

function formatBlocks(layouts: readonly Layout[], rows: number): string[] {
  const titleWidth = Math.max(...layouts.map((layout) => widthOf(layout.title)));
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    if (row > 0) lines.push('');
    for (const { title, cells } of layouts) {
      lines.push(`${title}${' '.repeat(titleWidth - widthOf(title))}${GAP}${cells[row]}`.trimEnd());
    }
  }
  return lines;
}
