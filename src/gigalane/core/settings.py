"""Settings that do not fit: the one error every settings check raises."""


class SettingsError(ValueError):
    """A setting, or a pair of settings, that cannot be used; says which and what would do."""
