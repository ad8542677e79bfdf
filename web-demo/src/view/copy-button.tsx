import type { JSX } from "preact";
import { useState } from "preact/hooks";

/** Copies a text, and says so. */
export function CopyButton(props: {
  readonly text: string;
  /** What is copied: "public key". */
  readonly what: string;
  readonly label?: string;
  readonly onCopied?: () => void;
}): JSX.Element {
  const { text, what, label = "Copy", onCopied } = props;
  const [copied, setCopied] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(text);
      onCopied?.();
    } catch {
      // The browser does not allow it now; the text is in sight and can be selected.
      setCopied("");
    }
  };
  return (
    <button
      type="button"
      class="quiet copy"
      aria-label={`Copy ${what}`}
      onClick={() => void copy()}
    >
      <span aria-live="polite">{copied === text && text !== "" ? "Copied" : label}</span>
    </button>
  );
}
