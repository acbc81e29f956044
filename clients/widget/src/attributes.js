// What the components for React and Vue share.

/** Return the attributes of the element; undefined where it gets none. */
export function attributesOf(props) {
  const { publishableKey, service, countries, purpose, name, phone, locale, required, disabled } = props;
  return {
    "publishable-key": publishableKey,
    service,
    countries: countries && countries.length ? countries.join(" ") : undefined,
    purpose,
    name,
    phone,
    locale,
    required: required ? "" : undefined, // "false" would mean required
    disabled: disabled ? "" : undefined,
  };
}
