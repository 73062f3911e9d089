// Of our own: what the page's policy allows is a script from here, never one inside the page.
window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "openapi.json",
    dom_id: "#swagger-ui",
    deepLinking: true,
    displayRequestDuration: true,
    validatorUrl: null, // the validator is a site elsewhere
  });
});
