/**
 * Draws what was decided about each face onto its photo: a box and a label in the colour of the decision.
 *
 * Labels are readable relative to the picture and the faces, have a background, are never clipped at the border, and
 * avoid other labels and other faces as far as there is room. The picture is upright (EXIF orientation applied), as the
 * coordinates of faces are; small pictures are enlarged, so that the labels have pixels. Besides the embedder's image file
 * this is the only importer of sharp.
 */
import sharp from 'sharp';
import type { Box, Decision } from '../api.js';
import { HarmonidError } from '../errors.js';
import { drawText, textWidthPx } from './stroke-font.js';

/** One face to mark. */
export interface Mark {
  /** In pixels of the upright photo. */
  readonly box: Box;
  /** The loud part of the label, e.g. the identity. */
  readonly title: string;
  /** The quiet part, e.g. the distance. */
  readonly note?: string | undefined;
  /** Decides the colour; `face` marks a face that nothing was decided about. */
  readonly tone: Decision | 'face';
}

/** Colours that stay apart for colour-blind people too: blueish green, vermilion, amber, blue (after Okabe and Ito). */
const tones = {
  match: { fill: '#00795b', text: '#ffffff' },
  'no-match': { fill: '#b8430b', text: '#ffffff' },
  ambiguous: { fill: '#f0b323', text: '#1d1d1d' },
  face: { fill: '#0b66a8', text: '#ffffff' },
} as const satisfies Record<Mark['tone'], { fill: string; text: string }>;

/** Pictures with a longer side below this are enlarged by a whole factor. */
const longerSideMinPx = 900;

interface Label {
  readonly box: Box;
  readonly mark: Mark;
  readonly capitalPx: number;
}

/**
 * The photo with its marks, as PNG.
 * @throws IMAGE_UNREADABLE
 */
export async function annotatePhoto(photo: Uint8Array, marks: readonly Mark[]): Promise<Buffer> {
  try {
    const upright = await sharp(photo)
      .autoOrient()
      .flatten({ background: '#808080' })
      .png({ compressionLevel: 1 })
      .toBuffer({ resolveWithObject: true });
    const factor = Math.max(1, Math.ceil(longerSideMinPx / Math.max(upright.info.width, upright.info.height)));
    const width = upright.info.width * factor;
    const height = upright.info.height * factor;
    const overlay = Buffer.from(drawMarks(scaleMarks(marks, factor), width, height));
    const picture = sharp(upright.data);
    if (factor > 1) picture.resize({ width, height, kernel: 'cubic' });
    // The overlay goes on in a second pass: sharp composites before it resizes.
    return await sharp(await picture.png({ compressionLevel: 1 }).toBuffer())
      .composite([{ input: overlay }])
      .png()
      .toBuffer();
  } catch (cause) {
    throw new HarmonidError('IMAGE_UNREADABLE', 'the photo cannot be drawn upon: it cannot be decoded', { cause });
  }
}

function scaleMarks(marks: readonly Mark[], factor: number): readonly Mark[] {
  return marks.map((mark) => ({
    ...mark,
    box: {
      left: mark.box.left * factor,
      top: mark.box.top * factor,
      width: mark.box.width * factor,
      height: mark.box.height * factor,
    },
  }));
}

/** The overlay as SVG, of the picture's size. */
export function drawMarks(marks: readonly Mark[], width: number, height: number): string {
  const linePx = Math.max(2, Math.max(width, height) / 420);
  const labels = placeLabels(marks, width, height);
  const boxes = marks.map(({ box, tone }) => {
    const frame = `x="${box.left.toFixed(1)}" y="${box.top.toFixed(1)}" width="${box.width.toFixed(1)}" height="${box.height.toFixed(1)}" rx="${(linePx * 2).toFixed(1)}" fill="none"`;
    // A dark line below the coloured one keeps the box visible on any ground.
    return `<rect ${frame} stroke="#000000" stroke-opacity="0.45" stroke-width="${(linePx * 2).toFixed(1)}"/><rect ${frame} stroke="${tones[tone].fill}" stroke-width="${linePx.toFixed(1)}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${boxes.join('')}${labels.map(drawLabel).join('')}</svg>`;
}

function drawLabel({ box, mark, capitalPx }: Label): string {
  const { fill, text } = tones[mark.tone];
  const padding = capitalPx * labelPadding;
  const at = { left: box.left + padding, top: box.top + padding };
  const note =
    mark.note === undefined
      ? ''
      : drawText(
          mark.note,
          { left: at.left + textWidthPx(mark.title, capitalPx) + capitalPx * noteGap, top: at.top },
          capitalPx,
          { colour: text, weight: 1.1 },
        );
  return (
    `<rect x="${box.left.toFixed(1)}" y="${box.top.toFixed(1)}" width="${box.width.toFixed(1)}" height="${box.height.toFixed(1)}" ` +
    `rx="${(capitalPx * 0.35).toFixed(1)}" fill="${fill}" fill-opacity="0.92" stroke="#000000" stroke-opacity="0.35" stroke-width="${(capitalPx / 12).toFixed(2)}"/>` +
    drawText(mark.title, at, capitalPx, { colour: text, weight: 1.7 }) +
    note
  );
}

/** In capital heights: around the text (descenders need 0.3 of it), and between title and note. */
const labelPadding = 0.55;
const noteGap = 0.75;

/** Puts a label beside each box, largest face first, where it covers least. Pure. */
export function placeLabels(marks: readonly Mark[], width: number, height: number): readonly Label[] {
  const capitalPx = chooseCapitalPx(marks, width, height);
  const placed: Label[] = [];
  for (const mark of marks.toSorted((a, b) => area(b.box) - area(a.box))) {
    const { capitalPx: fittingPx, width: labelWidth, height: labelHeight } = measureLabel(mark, capitalPx, width);
    const candidates = positionsBeside(mark.box, labelWidth, labelHeight, capitalPx * 0.3).map(({ left, top }) => ({
      left: clamp(left, 0, width - labelWidth),
      top: clamp(top, 0, height - labelHeight),
      width: labelWidth,
      height: labelHeight,
    }));
    const costs = candidates.map(
      (candidate, preference) =>
        // Covering another label hides text and is worst; covering the own face is worse than covering another box's rim.
        4 * sum(placed.map((label) => overlap(candidate, label.box))) +
        sum(marks.map((other) => overlap(candidate, other.box) * (other === mark ? 1.5 : 1))) +
        (preference * labelWidth * labelHeight) / 200,
    );
    const box = candidates[costs.indexOf(Math.min(...costs))];
    if (box) placed.push({ box, mark, capitalPx: fittingPx });
  }
  return placed;
}

/** Between what is readable in the whole picture and what suits the faces. */
function chooseCapitalPx(marks: readonly Mark[], width: number, height: number): number {
  const heights = marks.map(({ box }) => box.height).toSorted((a, b) => a - b);
  const median = heights[Math.floor(heights.length / 2)] ?? height / 8;
  const longer = Math.max(width, height);
  return clamp(median / 8, longer / 130, longer / 60);
}

/** A label wider than the picture gets smaller letters. */
function measureLabel(
  mark: Mark,
  capitalPx: number,
  widthMax: number,
): { capitalPx: number; width: number; height: number } {
  const noteWidth = mark.note === undefined ? 0 : textWidthPx(mark.note, 1) + noteGap;
  const units = textWidthPx(mark.title, 1) + noteWidth + 2 * labelPadding;
  const fitting = Math.min(capitalPx, widthMax / units);
  return { capitalPx: fitting, width: units * fitting, height: (1 + 2 * labelPadding) * fitting };
}

/** Top left corners in order of preference: above, below, beside, inside. */
function positionsBeside(
  box: Box,
  width: number,
  height: number,
  gap: number,
): readonly { left: number; top: number }[] {
  const right = box.left + box.width;
  const bottom = box.top + box.height;
  const columns = [box.left, box.left + (box.width - width) / 2, right - width];
  const above = columns.map((left) => ({ left, top: box.top - height - gap }));
  const below = columns.map((left) => ({ left, top: bottom + gap }));
  const rows = [box.top, box.top + (box.height - height) / 2, bottom - height];
  const beside = rows.flatMap((top) => [
    { left: right + gap, top },
    { left: box.left - width - gap, top },
  ]);
  const further = columns.flatMap((left) => [
    { left, top: box.top - 2 * (height + gap) },
    { left, top: bottom + height + 2 * gap },
  ]);
  const inside = columns.map((left) => ({ left, top: bottom - height - gap }));
  return [...above, ...below, ...beside, ...further, ...inside];
}

function overlap(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  return width > 0 && height > 0 ? width * height : 0;
}

function area(box: Box): number {
  return box.width * box.height;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function clamp(value: number, smallest: number, largest: number): number {
  return Math.max(smallest, Math.min(largest, value));
}
