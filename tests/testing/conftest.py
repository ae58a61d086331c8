"""A server of each module's own: one that stayed would be in the way of tests that look at this process's memory."""

from pvbinder import testing

pvbinder_server = testing.server(scope="module")
