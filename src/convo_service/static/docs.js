// Swagger UI on the document of this installation. A key that is typed in stays in the page, and goes with it.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // would ask another host
  persistAuthorization: false,
});
