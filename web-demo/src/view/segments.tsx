import type { JSX } from "preact";

export interface Choice<T extends string> {
  readonly value: T;
  readonly label: string;
}

/** One of a few, all in sight: radio buttons that look like one bar. */
export function Segments<T extends string>(props: {
  readonly legend: string;
  readonly name: string;
  readonly choices: readonly Choice<T>[];
  readonly value: T;
  readonly isDisabled?: boolean;
  readonly onChange: (value: T) => void;
}): JSX.Element {
  const { legend, name, choices, value, isDisabled = false, onChange } = props;
  return (
    <fieldset class="segments" disabled={isDisabled}>
      <legend>{legend}</legend>
      <div class="segment-bar">
        {choices.map((choice) => (
          <label key={choice.value}>
            <input
              type="radio"
              name={name}
              checked={choice.value === value}
              onChange={() => onChange(choice.value)}
            />
            <span>{choice.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
