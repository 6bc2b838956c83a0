// Letting a stream work on while its consumer waits for something else.
import { watched } from './frames.ts';

/**
 * Passes a stream on and asks it for several items ahead, so that the source works while the consumer waits for its disk or network.
 * Items must stay valid when later ones are made.
 * @param source an async generator: only those queue requests
 * @param onEnd called before the source is told to end, also when the consumer stops early: frees a source that hangs
 * @param onUsed called with each item once the consumer asks for the next one
 */
export async function* ahead<T>(
  source: AsyncGenerator<T, void>,
  items: number,
  onEnd: () => void,
  onUsed?: (item: T) => unknown,
): AsyncGenerator<T, void> {
  const asked: Promise<IteratorResult<T, void>>[] = [];
  try {
    for (;;) {
      while (asked.length < items) asked.push(watched(source.next()));
      const result = await (asked.shift() as Promise<IteratorResult<T, void>>);
      if (result.done) return;
      yield result.value;
      onUsed?.(result.value);
    }
  } finally {
    onEnd();
    await source.return().catch(() => undefined);
  }
}
