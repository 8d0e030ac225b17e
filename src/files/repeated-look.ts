/** Looks at files again and again for what others changed. */

/** Runs `look` every `everyMs`, never two at a time; keeps no process alive. `look` rejects never. Returns what ends it. */
export function lookRepeatedly(everyMs: number, look: () => Promise<void>): () => void {
  let isLooking = false;
  const timer = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    void look().finally(() => (isLooking = false));
  }, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
