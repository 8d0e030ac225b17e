/**
 * Reads the HTML that pages of this project are made of, strictly: every element is closed in order, every attribute quoted and given once, `<`
 * and `&` stand in text only as entities. A browser would forgive what this refuses.
 */
import assert from 'node:assert/strict';

export interface PageElement {
  readonly tag: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: (PageElement | string)[];
}

const voidTags = new Set(['meta', 'br', 'hr', 'img', 'link', 'input']);
/** Their content is no markup. */
const rawTags = new Set(['style', 'script']);
const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };

export function readPage(html: string): PageElement {
  const start = '<!doctype html>';
  assert.ok(html.startsWith(start), 'a page begins with its doctype');
  const root: PageElement = { tag: '#page', attributes: new Map(), children: [] };
  const open = [root];
  let at = start.length;
  while (at < html.length) {
    const inside = open.at(-1) as PageElement;
    const next = html.indexOf('<', at);
    const text = html.slice(at, next < 0 ? html.length : next);
    if (text !== '') inside.children.push(decode(text));
    if (next < 0) break;
    const tag = /^<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/.exec(html.slice(next, next + 100_000));
    assert.ok(tag, `no tag: ${html.slice(next, next + 60)}`);
    const [whole, closing, name = '', attributes = '', selfClosing] = tag;
    at = next + whole.length;
    if (closing === '/') {
      assert.equal(inside.tag, name, `</${name}> closes <${inside.tag}>`);
      open.pop();
      continue;
    }
    const element: PageElement = { tag: name, attributes: readAttributes(attributes), children: [] };
    inside.children.push(element);
    if (rawTags.has(name)) {
      const end = html.indexOf(`</${name}>`, at);
      assert.ok(end >= 0, `<${name}> is closed`);
      element.children.push(html.slice(at, end));
      at = end;
    }
    if (selfClosing !== '/' && !voidTags.has(name)) open.push(element);
  }
  assert.equal(open.length, 1, `<${open.at(-1)?.tag ?? ''}> is not closed`);
  return root;
}

function readAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name = '', value = ''] of text.matchAll(/([\w:-]+)="([^"]*)"/g)) {
    assert.ok(!attributes.has(name), `attribute ${name} is given twice`);
    attributes.set(name, decode(value));
  }
  return attributes;
}

function decode(text: string): string {
  return text.replace(/&([^;\s]*;?)/g, (whole, name: string) => {
    const character = entities[name.replace(/;$/, '')];
    assert.ok(character !== undefined && name.endsWith(';'), `no entity: ${whole}`);
    return character;
  });
}

/** All elements below, in the order of the page. */
export function elementsOf(element: PageElement, tag?: string): PageElement[] {
  return element.children.flatMap((child) =>
    typeof child === 'string'
      ? []
      : [...(tag === undefined || child.tag === tag ? [child] : []), ...elementsOf(child, tag)],
  );
}

/** Text as it is read: white space is one space. */
export function textOf(element: PageElement): string {
  const raw = (part: PageElement | string): string => {
    if (typeof part === 'string') return part;
    const text = part.children.map(raw).join('');
    return blocks.has(part.tag) ? ` ${text} ` : text;
  };
  return raw(element).replace(/\s+/g, ' ').trim();
}

const blocks = new Set([
  'td',
  'th',
  'tr',
  'p',
  'div',
  'table',
  'caption',
  'thead',
  'tbody',
  'dl',
  'dt',
  'dd',
  'ul',
  'li',
  'body',
  'section',
  'header',
  'h1',
  'h2',
  'figure',
  'figcaption',
]);

/** Rows of the table in the section of that heading, heads first. */
export function tableOf(page: PageElement, heading: string): string[][] {
  const section = elementsOf(page, 'section').find((one) => elementsOf(one, 'h2').some((h2) => textOf(h2) === heading));
  assert.ok(section, `no section "${heading}"`);
  const [table] = elementsOf(section, 'table');
  return table
    ? elementsOf(table, 'tr').map((row) => row.children.filter((cell) => typeof cell !== 'string').map(textOf))
    : [];
}
