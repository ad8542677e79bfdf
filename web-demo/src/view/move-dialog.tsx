import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Cast } from "../control/cast.ts";
import type { PartyState } from "../model/state.ts";
import { CopyButton } from "./copy-button.tsx";
import { Dialog } from "./dialog.tsx";
import { QrCode } from "./qr-code.tsx";

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** Lets a party go on in another tab or on a phone. It leaves this page with the first use of its link. */
export function MoveDialog(props: {
  readonly party: PartyState;
  readonly cast: Cast;
  readonly onClose: () => void;
}): JSX.Element {
  const { party, cast, onClose } = props;
  const [link, setLink] = useState("");
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    void cast.link(party.id, location.href.split(/[?#]/)[0] ?? "").then(setLink);
  }, [party.id]);
  const leave = (): void => {
    if (cast.has(party.id)) cast.move(party.id);
  };
  return (
    <Dialog title={`Move ${party.name} out`} onClose={onClose}>
      <p>
        {party.name} goes on wherever this link is opened, with the same keys and a connection of
        its own. It leaves this page, and its share of the present key stays behind: make a new key
        together afterwards.
      </p>
      <p class="empty">
        The keys, and the token where the router wants one, stand behind the # of the link, which
        browsers send to no server. Whoever has the link is {party.name}.
      </p>
      <div class="move-actions">
        <a
          class="button is-primary"
          href={link}
          target="_blank"
          rel="noopener"
          onClick={() => {
            leave();
            onClose();
          }}
        >
          Open {party.name} in another tab
        </a>
        <CopyButton text={link} what={`link of ${party.name}`} label="Copy link" onCopied={leave} />
        {!loopback.test(location.hostname) && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              leave();
              setShown(true);
            }}
          >
            Show QR code
          </button>
        )}
      </div>
      {isShown && <QrCode text={link} label={`QR code of ${party.name}’s link`} />}
    </Dialog>
  );
}
