/** What is weak about an enrolment, for people. Pure. */
import type { Weakness } from './examination.js';

export const weaknessWords: Readonly<Record<Weakness, string>> = {
  'no-template': 'no template',
  'single-template': 'one template only',
  'low-quality': 'low quality',
  'far-apart': 'templates far apart',
};
