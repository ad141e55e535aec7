// Served as a file of its own, so that the page needs no inline script.
globalThis.addEventListener('load', () => {
  globalThis.SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#swagger-ui',
    deepLinking: true,
    // the default asks a public server whether the document is valid
    validatorUrl: null,
    presets: [globalThis.SwaggerUIBundle.presets.apis],
  });
});
