/** One measured number. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The most it may be; without one it is only told. */
  readonly most?: number;
}

/** What a program has found. */
export interface Findings {
  readonly figures: readonly Figure[];
  /** What must not be at any speed: messages lost, things left behind. One line each; none: all is well. */
  readonly faults: readonly string[];
}

export function isMet({ value, most }: Figure): boolean {
  // A number that could not be measured meets nothing.
  return most === undefined || value <= most;
}

export function tableOf({ figures, faults }: Findings): string {
  const width = Math.max(...figures.map(({ name }) => name.length));
  const rows = figures.map((figure) => {
    const { name, value, unit, most } = figure;
    const bar =
      most === undefined ? "" : `  (at most ${most}: ${isMet(figure) ? "met" : "MISSED"})`;
    return `  ${name.padEnd(width)}  ${rounded(value)} ${unit}${bar}`;
  });
  const lines = faults.map((fault) => `  FAULT: ${fault}`);
  return [...rows, ...lines, ""].join("\n");
}

/** Three digits say all that such measurements do. */
function rounded(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}
