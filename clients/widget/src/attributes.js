// Shared by the components for React and Vue.

/** Return the attributes of the element; undefined for those that are not set. */
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
