import { useEffect, useState } from "preact/hooks";
import type { State } from "../model/state.ts";
import type { Store } from "../model/store.ts";

/** Changes that come within a frame are drawn together, in milliseconds. */
const frameMs = 16;

/** The store's state, anew soon after it has changed. */
export function useStateOf(store: Store): State {
  const [state, setState] = useState(store.state);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const draw = (): void => {
      timer = undefined;
      setState(store.state);
    };
    const unlisten = store.listen(() => {
      timer ??= setTimeout(draw, frameMs);
    });
    draw();
    return () => {
      unlisten();
      clearTimeout(timer);
    };
  }, [store]);
  return state;
}
