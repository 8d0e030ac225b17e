/** How figures of protocols on pairs of photos are written, on pages and in terminals. Pure. */
import type { Estimate } from './error-rates.js';
import { markup, percentText, pointsText, unknown, type Markup } from '../report/page.js';
import type { PhotoKind } from './photo-embedding.js';

/** A share with its standard error: `99.33 % ± 0.10`. */
export function estimateText(estimate: Estimate | null): string {
  return estimate === null ? unknown : `${percentText(estimate.mean)} ± ${hundredths(estimate.standardError)}`;
}

/** A difference of shares with its standard error: `−0.13 points ± 0.07`. */
export function differenceText(estimate: Estimate | null): string {
  return estimate === null ? unknown : `${pointsText(estimate.mean)} ± ${hundredths(estimate.standardError)}`;
}

/** A figure, and beneath it how it differs from another; nothing for what is compared with itself. */
export function withDifference(figure: string, difference: string): Markup {
  return difference === '' ? markup`${figure}` : markup`${figure}<br /><span class="note">${difference}</span>`;
}

function hundredths(share: number): string {
  return (100 * share).toFixed(2);
}

/** How faces come to be embedded. */
export function modeText(mode: PhotoKind, detector: string, faceChoice: string): string {
  return {
    full: `${detector} detector, ${faceChoice} face`,
    centre: 'fixed crop of the middle: eyes are expected at 42 % and 58 % of the width and 45 % of the height',
    aligned: "crops of the model's chip",
    arcface112: 'aligned crops of 112x112',
  }[mode];
}
