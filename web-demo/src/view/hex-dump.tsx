import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

const mostBytes = 2_048;

/** Bytes as hex; those that differ from what was sent stand out. */
export function HexDump(props: {
  readonly bytes: Uint8Array;
  readonly original?: Uint8Array | undefined;
  readonly label: string;
}): JSX.Element {
  const { bytes, original, label } = props;
  const shown = [...bytes.subarray(0, mostBytes)];
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Not before the dialog around it is shown.
    const frame = requestAnimationFrame(() => {
      const mark = box.current?.querySelector("mark");
      if (box.current === null || !(mark instanceof HTMLElement)) return;
      box.current.scrollTop = mark.offsetTop - box.current.clientHeight / 2;
    });
    return () => cancelAnimationFrame(frame);
  }, []);
  return (
    <div ref={box} class="hex" tabIndex={0} role="group" aria-label={label}>
      <code>
        {shown.map((byte, i) => {
          const text = byte.toString(16).padStart(2, "0");
          const isChanged = original !== undefined && original[i] !== byte;
          return isChanged ? <mark key={i}>{text}</mark> : <span key={i}>{text}</span>;
        })}
      </code>
      {bytes.length > mostBytes && <p>… and {bytes.length - mostBytes} more</p>}
    </div>
  );
}
