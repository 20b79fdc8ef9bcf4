// Fonts that every machine has: the default ones would have to come from elsewhere.
window.addEventListener("DOMContentLoaded", () => {
  const text = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif";
  const code = "ui-monospace, 'Cascadia Mono', 'Liberation Mono', monospace";
  const typography = { fontFamily: text, headings: { fontFamily: text }, code: { fontFamily: code } };
  Redoc.init("/openapi.json", { theme: { typography }, sortRequiredPropsFirst: true, nativeScrollbars: true }, document.getElementById("docs"));
});
