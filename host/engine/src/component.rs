//! (placeholder until linked)
pub(crate) fn run(
    _: &wasmtime::Engine,
    _: &wasmtime::component::Component,
    _: crate::Start<'_>,
) -> crate::Result<crate::Finished> {
    Err(crate::Error::Invalid("components are not linked yet".into()))
}
