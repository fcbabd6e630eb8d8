"""The page in the browser: files as they are, without a build step, served by the service."""

from runtime.appliance.page.files import routes as routes
