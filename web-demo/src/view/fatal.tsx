import type { JSX } from "preact";

const texts: Readonly<
  Record<"insecure" | "link", { readonly title: string; readonly text: string }>
> = {
  insecure: {
    title: "This address is not secure enough",
    text:
      "Browsers give pages their cryptography on https:// and on this machine's own address only, and the parties cannot " +
      "seal their messages without. Open the page by http://127.0.0.1 or http://localhost on the machine that runs the " +
      "router, or put TLS in front of it.",
  },
  link: {
    title: "This link is not complete",
    text:
      "A party's link carries its keys behind the # sign, and the page takes them out of the address bar as soon as it has " +
      "them. Open the whole link once more, or move the party out of the first page again.",
  },
};

/** Said in place of the page where there is nothing to show. */
export function Fatal({ problem }: { readonly problem: keyof typeof texts }): JSX.Element {
  const { title, text } = texts[problem];
  return (
    <main class="fatal">
      <h1>{title}</h1>
      <p>{text}</p>
      <p>
        <a href="./">Open the demonstration</a>
      </p>
    </main>
  );
}
