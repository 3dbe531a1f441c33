//! Short forms for the gate, heavy ones for `scripts/torture`.

/// `short` in the gate; `heavy` when TURNPIKE_TORTURE is set.
pub(crate) fn scaled<T>(short: T, heavy: T) -> T {
    if std::env::var_os("TURNPIKE_TORTURE").is_some() {
        heavy
    } else {
        short
    }
}
