"""Read-only answers made of run folders: JSON and pictures, of a night that runs as of one done."""

from runtime.appliance.views.room import views as views
