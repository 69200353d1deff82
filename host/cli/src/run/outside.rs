//! The way of the app to the network outside.

use std::sync::Arc;

use qyv_spec::app::Net as Asked;
use qyv_spec::service::Endpoint;
use qyv_svc::outbound::Outbound;
use qyv_vfs::Budget;
use qyvol_net::{Net, Outside, Roots, SystemResolver};
use tokio::runtime::{Builder, Runtime};

use crate::failure::{Failure, Result};

/// What the app was granted of the network outside, and the thread that goes there for it.
pub(crate) struct WayOut {
    granted: Outbound,
    net: Arc<Net>,
    reactor: Option<Runtime>,
}

impl WayOut {
    /// `None` for an app that was granted nothing outside: then there is no such thread.
    pub(crate) fn open(net: &Asked) -> Result<Option<Self>> {
        let hosts = net.connect.iter().filter_map(|endpoint| match endpoint {
            Endpoint::Host(host) => Some(host.clone()),
            Endpoint::Service(_) => None,
        });
        let granted = Outbound::new(hosts, net.anywhere);
        if granted.is_nothing() {
            return Ok(None);
        }
        let mut builder = Builder::new_multi_thread();
        let reactor =
            builder.worker_threads(1).thread_name("reactor").enable_all().build().map_err(Failure::own)?;
        let roots = Roots::of_environment().map_err(Failure::own)?;
        let net = Net::new(reactor.handle().clone(), SystemResolver, roots);
        Ok(Some(Self { granted, net, reactor: Some(reactor) }))
    }

    /// Whether any bare connection may be made.
    pub(crate) fn connects(&self) -> bool {
        self.granted.connects()
    }

    /// For the guest, which may have so many connections at one time.
    pub(crate) fn outside(&self, connections: u32, memory: &Budget) -> Arc<Outside> {
        Outside::new(&self.net, self.granted.clone(), connections, memory)
    }
}

impl Drop for WayOut {
    /// A resolver that hangs is not waited for.
    fn drop(&mut self) {
        if let Some(reactor) = self.reactor.take() {
            reactor.shutdown_background();
        }
    }
}
