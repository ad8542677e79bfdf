/** No name of ours is nearly as long; also a bound on the work of the comparison. */
const longestName = 60;

/** Says that there is no such setting, and which was probably meant. `prefix`: what all names start with. */
export function unknownName(prefix: string, name: string, known: readonly string[]): string {
  const shown = name.slice(0, longestName);
  const nearest = nearestName(shown, known, prefix.length);
  return nearest === undefined
    ? `${shown} is no setting (see --help)`
    : `${shown} is no setting; did you mean ${nearest}?`;
}

function nearestName(name: string, known: readonly string[], skip: number): string | undefined {
  // Half a name is more often an abbreviation than a misspelling of another.
  const longer = known.find((candidate) => name.length > skip + 2 && candidate.startsWith(name));
  if (longer !== undefined) return longer;
  const distances = known.map((candidate) => ({
    candidate,
    distance: editDistance(name.slice(skip), candidate.slice(skip)),
  }));
  const [nearest] = distances.toSorted((left, right) => left.distance - right.distance);
  // More than a third changed is another word.
  const isNear = nearest !== undefined && nearest.distance * 3 <= nearest.candidate.length - skip;
  return isNear ? nearest.candidate : undefined;
}

/** Number of characters to insert, remove or replace (Levenshtein), computed row by row. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const replaced = at(previous, column - 1) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, at(previous, column) + 1, at(current, column - 1) + 1));
    }
    previous = current;
  }
  return at(previous, to.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
