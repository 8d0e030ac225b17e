/**
 * Pixels from one frame into another: area averages and warps over typed arrays. Pure; no I/O.
 *
 * Coordinates are continuous: the image's top left corner is (0, 0) and the centre of pixel (i, j) is (i + 0.5, j + 0.5).
 * Outside the image everything is black, as in the training of dlib's and face-api's networks.
 *
 * Antialiasing: a warp that shrinks by a factor s >= 2 first averages whole blocks of floor(s) x floor(s) pixels of the
 * region it needs and then interpolates, so every source pixel counts and the rest factor stays below 2.
 */
import type { RgbImage } from './image.js';

/**
 * A similarity from target to source coordinates: x' = a·x - b·y + tx, y' = b·x + a·y + ty.
 * Its scale hypot(a, b) is the number of source pixels per target pixel.
 */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly tx: number;
  readonly ty: number;
}

/** A float image in planes, RGB, 0 to 255: `data[channel * width * height + y * width + x]`. */
export interface PlanarImage {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;
}

/** A rectangle of the target, whole pixels. */
export interface TargetArea {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export function applySimilarity({ a, b, tx, ty }: Similarity, x: number, y: number): { x: number; y: number } {
  return { x: a * x - b * y + tx, y: b * x + a * y + ty };
}

/** The way back: source to target coordinates. */
export function invertSimilarity({ a, b, tx, ty }: Similarity): Similarity {
  const squared = a * a + b * b;
  const inverseA = a / squared;
  const inverseB = -b / squared;
  return { a: inverseA, b: inverseB, tx: -(inverseA * tx - inverseB * ty), ty: -(inverseB * tx + inverseA * ty) };
}

/** `outer` after `inner`. */
export function composeSimilarities(outer: Similarity, inner: Similarity): Similarity {
  const { x, y } = applySimilarity(outer, inner.tx, inner.ty);
  return {
    a: outer.a * inner.a - outer.b * inner.b,
    b: outer.b * inner.a + outer.a * inner.b,
    tx: x,
    ty: y,
  };
}

/** Share of the target rectangle that comes from inside the image, 0 to 1, on a 16 x 16 grid. */
export function insideShare(image: RgbImage, toSource: Similarity, width: number, height: number): number {
  const grid = 16;
  let inside = 0;
  for (let row = 0; row < grid; row++) {
    for (let column = 0; column < grid; column++) {
      const { x, y } = applySimilarity(toSource, ((column + 0.5) / grid) * width, ((row + 0.5) / grid) * height);
      if (x >= 0 && y >= 0 && x < image.width && y < image.height) inside++;
    }
  }
  return inside / (grid * grid);
}

/**
 * Fills the target rectangle [left, left + width) x [top, top + height) of a planar target from the image; the rest of the
 * target is not touched. `toSource` maps coordinates of the target.
 */
export function warpInto(target: PlanarImage, image: RgbImage, toSource: Similarity, area: TargetArea): void {
  const scale = Math.hypot(toSource.a, toSource.b);
  // A hair below 2 must not fall back to bilinear alone because of rounding.
  const block = Math.floor(scale + 1e-6);
  if (block < 2) {
    interpolateInto(target, image, toSource, area);
    return;
  }
  const region = sourceRegion(image, toSource, area, block);
  if (region === null) {
    blacken(target, area);
    return;
  }
  const averaged = averageBlocks(image, region, block);
  interpolateInto(
    target,
    averaged,
    {
      a: toSource.a / block,
      b: toSource.b / block,
      tx: (toSource.tx - region.left) / block,
      ty: (toSource.ty - region.top) / block,
    },
    area,
  );
}

/**
 * `warpInto` for scale and shift without rotation, at a fraction of its cost; what lies beyond the image's edge shows the edge.
 * The area must lie over the image.
 */
export function resizeInto(target: PlanarImage, image: RgbImage, toSource: Similarity, area: TargetArea): void {
  const block = Math.max(1, Math.floor(toSource.a + 1e-6));
  const source =
    block < 2
      ? image
      : averageBlocks(
          image,
          { left: 0, top: 0, columns: Math.ceil(image.width / block), rows: Math.ceil(image.height / block) },
          block,
        );
  const { width, height, data } = source;
  const scale = toSource.a / block;
  // For each column its left neighbour's position in a row, and how far it lies to the right of it.
  const offsets = new Int32Array(area.width);
  const shares = new Float32Array(area.width);
  for (let column = 0; column < area.width; column++) {
    const x = betweenCentres(scale * (area.left + column + 0.5) + toSource.tx / block, width);
    offsets[column] = Math.floor(x) * 3;
    shares[column] = x - Math.floor(x);
  }
  const step = width > 1 ? 3 : 0;
  const plane = target.width * target.height;
  const out = target.data;
  for (let row = area.top; row < area.top + area.height; row++) {
    const y = betweenCentres(scale * (row + 0.5) + toSource.ty / block, height);
    const above = Math.floor(y) * width * 3;
    const below = height > 1 ? above + width * 3 : above;
    const share = y - Math.floor(y);
    let to = row * target.width + area.left;
    for (let column = 0; column < area.width; column++, to++) {
      const fx = shares[column] as number;
      let a = above + (offsets[column] as number);
      let b = below + (offsets[column] as number);
      for (let channel = to; channel < 3 * plane; channel += plane, a++, b++) {
        const upper = (data[a] as number) + ((data[a + step] as number) - (data[a] as number)) * fx;
        const lower = (data[b] as number) + ((data[b + step] as number) - (data[b] as number)) * fx;
        out[channel] = upper + (lower - upper) * share;
      }
    }
  }
}

/** A coordinate as a position between pixel centres, such that it and its right neighbour exist. */
function betweenCentres(coordinate: number, length: number): number {
  return Math.max(0, Math.min(coordinate - 0.5, length - 1 - 1e-6));
}

/** A planar image of the given size, warped from `image`. */
export function warp(image: RgbImage, toSource: Similarity, width: number, height: number): PlanarImage {
  const target = { width, height, data: new Float32Array(3 * width * height) };
  warpInto(target, image, toSource, { left: 0, top: 0, width, height });
  return target;
}

interface Region {
  readonly left: number;
  readonly top: number;
  /** In blocks. */
  readonly columns: number;
  readonly rows: number;
}

/** Bounding rectangle of the area in the source, with one block to spare for interpolation; null when all outside. */
function sourceRegion(image: RgbImage, toSource: Similarity, area: TargetArea, block: number): Region | null {
  let [minX, minY, maxX, maxY] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const dx of [0, area.width]) {
    for (const dy of [0, area.height]) {
      const { x, y } = applySimilarity(toSource, area.left + dx, area.top + dy);
      [minX, minY, maxX, maxY] = [Math.min(minX, x), Math.min(minY, y), Math.max(maxX, x), Math.max(maxY, y)];
    }
  }
  const left = Math.max(0, Math.floor(minX) - block);
  const top = Math.max(0, Math.floor(minY) - block);
  const right = Math.min(image.width, Math.ceil(maxX) + block);
  const bottom = Math.min(image.height, Math.ceil(maxY) + block);
  if (right <= left || bottom <= top) return null;
  return { left, top, columns: Math.ceil((right - left) / block), rows: Math.ceil((bottom - top) / block) };
}

/** Means of blocks of `block` x `block` pixels; blocks that hang over the image's edge average the pixels that exist. */
export function averageBlocks(image: RgbImage, region: Region, block: number): RgbImage {
  const { columns, rows } = region;
  const data = new Uint8Array(columns * rows * 3);
  const sums = new Uint32Array(columns * 3);
  for (let row = 0; row < rows; row++) {
    sums.fill(0);
    const yFrom = region.top + row * block;
    const yTo = Math.min(yFrom + block, image.height);
    for (let y = yFrom; y < yTo; y++) addRow(sums, image, y, region.left, columns, block);
    const lastWidth = Math.min(block, image.width - (region.left + (columns - 1) * block));
    const count = (yTo - yFrom) * block;
    const at = row * columns * 3;
    const wholeColumns = (lastWidth === block ? columns : columns - 1) * 3;
    const inverse = 1 / count;
    for (let i = 0; i < wholeColumns; i++) data[at + i] = (sums[i] as number) * inverse + 0.5;
    const lastInverse = 1 / ((yTo - yFrom) * lastWidth);
    for (let i = wholeColumns; i < columns * 3; i++) data[at + i] = (sums[i] as number) * lastInverse + 0.5;
  }
  return { width: columns, height: rows, data };
}

function addRow(sums: Uint32Array, image: RgbImage, y: number, left: number, columns: number, block: number): void {
  const { data, width } = image;
  let at = (y * width + left) * 3;
  const end = (y + 1) * width * 3;
  for (let column = 0; column < columns; column++) {
    const blockEnd = Math.min(at + block * 3, end);
    let red = 0;
    let green = 0;
    let blue = 0;
    for (; at < blockEnd; at += 3) {
      red += data[at] as number;
      green += data[at + 1] as number;
      blue += data[at + 2] as number;
    }
    const to = column * 3;
    sums[to] = (sums[to] as number) + red;
    sums[to + 1] = (sums[to + 1] as number) + green;
    sums[to + 2] = (sums[to + 2] as number) + blue;
  }
}

function blacken(target: PlanarImage, area: TargetArea): void {
  const plane = target.width * target.height;
  for (let channel = 0; channel < 3; channel++) {
    for (let row = area.top; row < area.top + area.height; row++) {
      const at = channel * plane + row * target.width + area.left;
      target.data.fill(0, at, at + area.width);
    }
  }
}

/** Bilinear interpolation; neighbours outside the image count as black. */
function interpolateInto(target: PlanarImage, image: RgbImage, toSource: Similarity, area: TargetArea): void {
  const { a, b, tx, ty } = toSource;
  const { width, height, data } = image;
  const out = target.data;
  const plane = target.width * target.height;
  const rowBytes = width * 3;
  for (let row = area.top; row < area.top + area.height; row++) {
    let to = row * target.width + area.left;
    // Minus a half: from continuous coordinates to positions between pixel centres.
    let x = a * (area.left + 0.5) - b * (row + 0.5) + tx - 0.5;
    let y = b * (area.left + 0.5) + a * (row + 0.5) + ty - 0.5;
    for (let column = 0; column < area.width; column++, to++, x += a, y += b) {
      const x0 = Math.floor(x);
      const y0 = Math.floor(y);
      const fx = x - x0;
      const fy = y - y0;
      let w00 = (1 - fx) * (1 - fy);
      let w10 = fx * (1 - fy);
      let w01 = (1 - fx) * fy;
      let w11 = fx * fy;
      let at = (y0 * width + x0) * 3;
      if (x0 < 0 || y0 < 0 || x0 >= width - 1 || y0 >= height - 1) {
        const [leftIn, rightIn] = [x0 >= 0 && x0 < width, x0 >= -1 && x0 < width - 1];
        const [topIn, bottomIn] = [y0 >= 0 && y0 < height, y0 >= -1 && y0 < height - 1];
        if (!(leftIn || rightIn) || !(topIn || bottomIn)) {
          out[to] = 0;
          out[to + plane] = 0;
          out[to + 2 * plane] = 0;
          continue;
        }
        if (!leftIn || !topIn) w00 = 0;
        if (!rightIn || !topIn) w10 = 0;
        if (!leftIn || !bottomIn) w01 = 0;
        if (!rightIn || !bottomIn) w11 = 0;
        // Slow path at the rim: reads past either end of the array give undefined, and their weight is zero.
        for (let channel = 0; channel < 3; channel++, at++) {
          out[to + channel * plane] =
            w00 * (data[at] ?? 0) +
            w10 * (data[at + 3] ?? 0) +
            w01 * (data[at + rowBytes] ?? 0) +
            w11 * (data[at + rowBytes + 3] ?? 0);
        }
        continue;
      }
      const below = at + rowBytes;
      out[to] =
        w00 * (data[at] as number) +
        w10 * (data[at + 3] as number) +
        w01 * (data[below] as number) +
        w11 * (data[below + 3] as number);
      out[to + plane] =
        w00 * (data[at + 1] as number) +
        w10 * (data[at + 4] as number) +
        w01 * (data[below + 1] as number) +
        w11 * (data[below + 4] as number);
      out[to + 2 * plane] =
        w00 * (data[at + 2] as number) +
        w10 * (data[at + 5] as number) +
        w01 * (data[below + 2] as number) +
        w11 * (data[below + 5] as number);
    }
  }
}
