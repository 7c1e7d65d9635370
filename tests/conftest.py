"""Shared helpers explain their failed assertions as tests do."""

import pytest

pytest.register_assert_rewrite("tests.support")
