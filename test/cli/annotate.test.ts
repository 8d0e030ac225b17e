/**
 * Annotated pictures: where labels go is compared with plain rectangle arithmetic written here, what is drawn with the
 * pixels that sharp reads back. The pictures themselves are to be looked at: `harmonid identify --annotate`.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'mocha';
import sharp from 'sharp';
import { annotatePhoto, drawMarks, placeLabels, type Mark } from '../../src/cli/annotate.js';
import { drawText, textWidthPx } from '../../src/cli/stroke-font.js';
import { isHarmonidError } from '../../src/errors.js';

interface Rectangle {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

function mark(left: number, top: number, size: number, title: string, tone: Mark['tone'] = 'match'): Mark {
  return { box: { left, top, width: size, height: size }, title, note: '0.123', tone };
}

function apart(a: Rectangle, b: Rectangle): boolean {
  return (
    a.left + a.width <= b.left || b.left + b.width <= a.left || a.top + a.height <= b.top || b.top + b.height <= a.top
  );
}

async function greyPhoto(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: '#808080' } })
    .jpeg()
    .toBuffer();
}

describe('annotate', () => {
  it('keeps every label inside the picture, also beside faces at and beyond its borders', () => {
    const corners = [
      mark(-30, -20, 100, 'top left'),
      mark(930, -40, 100, 'top right'),
      mark(-10, 690, 100, 'bottom left'),
      mark(960, 700, 120, 'bottom right'),
    ];
    for (const { box } of placeLabels(corners, 1000, 750)) {
      assert.ok(box.left >= 0 && box.top >= 0, `${box.left},${box.top}`);
      assert.ok(
        box.left + box.width <= 1000 && box.top + box.height <= 750,
        `${box.left + box.width},${box.top + box.height}`,
      );
    }
  });

  it('puts the labels of neighbours apart from each other and off the faces', () => {
    const row = Array.from({ length: 6 }, (_, i) => mark(60 + i * 150, 300, 120, `a rather long name ${i}`));
    const labels = placeLabels(row, 1100, 800);
    assert.equal(labels.length, 6);
    for (const [i, label] of labels.entries()) {
      for (const other of labels.slice(i + 1))
        assert.ok(apart(label.box, other.box), `${label.mark.title} covers ${other.mark.title}`);
      for (const face of row) assert.ok(apart(label.box, face.box), `${label.mark.title} covers a face`);
    }
  });

  it('shrinks a label that is wider than the picture', () => {
    const [label] = placeLabels([mark(10, 10, 80, 'x'.repeat(128))], 300, 200);
    assert.ok(label);
    assert.ok(label.box.width <= 300);
  });

  it('draws in the colour of the decision, in the size of the picture', async () => {
    const png = await annotatePhoto(await greyPhoto(1200, 800), [
      mark(300, 300, 200, 'alice', 'match'),
      mark(800, 300, 200, 'bob', 'no-match'),
    ]);
    const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height, info.format], [1200, 800, 'raw']);
    const at = (x: number, y: number): number[] => [
      ...data.subarray((y * info.width + x) * info.channels, (y * info.width + x) * info.channels + 3),
    ];
    const [red = 0, green = 0] = at(300, 400);
    assert.ok(green > red + 40, `the left rim of a match is green: ${at(300, 400).join()}`);
    const [redNo = 0, greenNo = 0] = at(800, 400);
    assert.ok(redNo > greenNo + 40, `the left rim of a no-match is red: ${at(800, 400).join()}`);
    assert.ok(
      at(400, 400).every((value) => Math.abs(value - 0x80) <= 2),
      'the face itself is not painted over',
    );
  });

  it('turns the picture upright before it draws, and enlarges small ones by a whole factor', async () => {
    const lying = await sharp(await greyPhoto(300, 200))
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    const { width, height } = await sharp(await annotatePhoto(lying, [])).metadata();
    assert.deepEqual([width, height], [600, 900]);
  });

  it('refuses what is no picture with a code', async () => {
    await assert.rejects(
      annotatePhoto(Buffer.from('not a picture'), []),
      (error) => isHarmonidError(error) && error.code === 'IMAGE_UNREADABLE',
    );
  });

  it('does not let names break out of the drawing', async () => {
    const evil = mark(100, 100, 80, '</text><script>漢&', 'face');
    assert.ok(!drawMarks([evil], 400, 300).includes('<script>'));
    assert.ok((await annotatePhoto(await greyPhoto(1000, 800), [evil])).length > 0);
  });
});

describe('stroke font', () => {
  it('has a glyph for every printable ASCII character, and draws accents without them', () => {
    for (let code = 0x20; code < 0x7f; code++) {
      assert.ok(
        !drawText(String.fromCharCode(code), { left: 0, top: 0 }, 10, { colour: '#fff', weight: 1 }).includes('<text'),
        `U+${code.toString(16)}`,
      );
    }
    assert.equal(textWidthPx('Zoé', 20), textWidthPx('Zoe', 20));
  });

  it('says how wide the drawn strokes are', async () => {
    const text = 'Hamburgefonts 0123';
    const left = 50;
    const strokes = drawText(text, { left, top: 50 }, 40, { colour: '#fff', weight: 1 });
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="900" height="150">${strokes}</svg>`;
    const { data, info } = await sharp(Buffer.from(svg))
      .flatten({ background: '#000' })
      .greyscale()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const inked = Array.from({ length: info.width }, (_, x) => x).filter((x) =>
      Array.from({ length: info.height }, (_, y) => data[y * info.width + x] ?? 0).some((value) => value > 128),
    );
    assert.ok(Math.abs(Math.min(...inked) - left) <= 3);
    assert.ok(Math.abs(Math.max(...inked) - (left + textWidthPx(text, 40))) <= 4);
  });
});
