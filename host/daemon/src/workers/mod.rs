//! The processes that run apps: how they are started, found again, spoken with and ended.

pub(crate) mod adopt;
pub(crate) mod link;
pub(crate) mod process;
pub(crate) mod spawn;
pub(crate) mod table;
