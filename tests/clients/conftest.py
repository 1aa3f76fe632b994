from tests.server.conftest import _no_log_lines, nano, plain  # noqa: F401 - fixtures
