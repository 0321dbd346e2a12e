//! The same for tests without async: a partner with its own thread.
//!
//! ```
//! use simulated_partners::testing::Partner;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut partner = Partner::named("modern").facing("my.example").start_blocking()?;
//! assert!(partner.address().ip().is_loopback());
//! assert!(partner.events().is_empty());
//! # Ok(())
//! # }
//! ```

use std::fmt;
use std::ops::{Deref, DerefMut};

use tokio::runtime::{Builder as RuntimeBuilder, Handle, Runtime};

use super::partner::{self, Builder, StartError, Waited};
use crate::event::{Event, Method};
use crate::wire::Element;

/// A [`testing::Partner`](partner::Partner) whose waits block. What needs no waiting (its address,
/// DNS, certificates, [`ping`](partner::Partner::ping)) is used as there. Dropping it stops it.
///
/// Its methods panic within an async function, where blocking is not allowed.
pub struct Partner {
    /// Present until it is dropped or stopped.
    inner: Option<(partner::Partner, Runtime)>,
}

impl Partner {
    pub(super) fn start(builder: Builder) -> Result<Self, StartError> {
        if Handle::try_current().is_ok() {
            return Err(StartError::Async);
        }
        let runtime = RuntimeBuilder::new_multi_thread()
            .worker_threads(1)
            .thread_name("partner")
            .enable_all()
            .build()
            .map_err(StartError::Thread)?;
        let partner = runtime.block_on(builder.start())?;
        Ok(Self {
            inner: Some((partner, runtime)),
        })
    }

    /// The events so far, in order.
    pub fn events(&mut self) -> &[Event] {
        let (partner, runtime) = self.parts();
        runtime.block_on(partner.events())
    }

    /// The events so far, as readable lines.
    pub fn transcript(&mut self) -> String {
        let (partner, runtime) = self.parts();
        runtime.block_on(partner.transcript())
    }

    /// See [`wait_for`](partner::Partner::wait_for).
    ///
    /// # Errors
    /// When it does not happen.
    pub fn wait_for(
        &mut self,
        what: &str,
        wanted: impl FnMut(&Event) -> bool,
    ) -> Result<&Event, Waited> {
        let (partner, runtime) = self.parts();
        runtime.block_on(partner.wait_for(what, wanted))
    }

    /// See [`established`](partner::Partner::established).
    ///
    /// # Errors
    /// When no connection is authenticated.
    pub fn established(&mut self) -> Result<Method, Waited> {
        let (partner, runtime) = self.parts();
        runtime.block_on(partner.established())
    }

    /// See [`stanza`](partner::Partner::stanza).
    ///
    /// # Errors
    /// When none comes.
    pub fn stanza(&mut self) -> Result<Element, Waited> {
        let (partner, runtime) = self.parts();
        runtime.block_on(partner.stanza())
    }

    /// Stops it, closing all connections, and returns all events.
    pub fn stop(mut self) -> Vec<Event> {
        let (partner, runtime) = self.inner.take().expect(THERE);
        runtime.block_on(partner.stop())
    }

    fn parts(&mut self) -> (&mut partner::Partner, &Runtime) {
        let (partner, runtime) = self.inner.as_mut().expect(THERE);
        (partner, runtime)
    }
}

const THERE: &str = "only drop and stop take it out, and nobody has it after them";

impl Deref for Partner {
    type Target = partner::Partner;

    fn deref(&self) -> &partner::Partner {
        &self.inner.as_ref().expect(THERE).0
    }
}

impl DerefMut for Partner {
    fn deref_mut(&mut self) -> &mut partner::Partner {
        &mut self.inner.as_mut().expect(THERE).0
    }
}

impl Drop for Partner {
    fn drop(&mut self) {
        if let Some((partner, runtime)) = self.inner.take() {
            drop(partner);
            // A runtime must not wait for its tasks if this is dropped within an async function.
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Partner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
