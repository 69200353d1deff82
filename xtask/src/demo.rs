//! `cargo xtask demo`.
pub(crate) fn run() -> anyhow::Result<()> {
    crate::setup::for_demo()?;
    let _ = crate::setup::guest_toolchain()?.build(&crate::shell::root(), &crate::shell::root());
    Ok(())
}
