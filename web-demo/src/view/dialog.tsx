import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";

/**
 * A modal dialog: Escape, the button and a click beside it close it, and the focus goes back to where it was. One that
 * nothing goes on without has no way to be closed.
 */
export function Dialog(props: {
  readonly title: string;
  readonly onClose?: () => void;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { title, onClose, children } = props;
  const titleId = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      // Browsers close a dialog at the second Escape, whatever its page says to the first.
      onClose={onClose ?? (() => dialog.current?.showModal())}
      onCancel={(event) => {
        if (onClose === undefined) event.preventDefault();
      }}
      onClick={(event) => {
        if (event.target === dialog.current) onClose?.();
      }}
    >
      <div class="dialog-body">
        <header>
          <h2 id={titleId}>{title}</h2>
          {onClose !== undefined && (
            <button type="button" class="quiet" onClick={onClose}>
              Close
            </button>
          )}
        </header>
        {children}
      </div>
    </dialog>
  );
}
