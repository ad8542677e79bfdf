import { correction, generate } from "lean-qr";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

const quietZone = 4;

/** Drawn as one pixel a module, and enlarged by the style sheet. */
export function QrCode(props: { readonly text: string; readonly label: string }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (canvas.current === null) return;
    const code = generate(props.text, { minCorrectionLevel: correction.L });
    code.toCanvas(canvas.current, {
      on: [0, 0, 0, 255],
      off: [255, 255, 255, 255],
      pad: quietZone,
    });
  }, [props.text]);
  return <canvas ref={canvas} class="qr" role="img" aria-label={props.label} />;
}
