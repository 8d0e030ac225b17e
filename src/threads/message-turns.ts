/**
 * Messages of a port that are taken for a while in each turn of the event loop.
 *
 * A port hands out up to a thousand messages before anything else gets its turn, which may be many seconds of work: what is written, read or
 * built in between would stand still. So they wait here.
 */
import type { MessagePort } from 'node:worker_threads';
import { assertInvariant } from '../errors.js';

const turnMs = 2;

/** @param take of one message, in their order @param flush after each turn */
export function takeInTurns<Message>(port: MessagePort, take: (message: Message) => void, flush: () => void): void {
  const waiting: Message[] = [];
  let isTaking = false;
  function takeSome(): void {
    const untilMs = performance.now() + turnMs;
    let taken = 0;
    do {
      const message = waiting[taken++];
      assertInvariant(message, 'messages are taken while there are some');
      take(message);
    } while (taken < waiting.length && performance.now() < untilMs);
    waiting.splice(0, taken);
    flush();
    isTaking = waiting.length > 0;
    if (isTaking) setImmediate(takeSome);
  }
  port.on('message', (messages: readonly Message[]) => {
    waiting.push(...messages);
    if (isTaking) return;
    isTaking = true;
    setImmediate(takeSome);
  });
}
