//! Simulated XMPP servers for tests of server-to-server federation.
//!
//! A [`Partner`](driver::Partner) is a correct XMPP server that does what its
//! [`Persona`](persona::Persona) says, including faults, and records everything as
//! [`Event`](event::Event)s. It knows nothing about verdicts. Start at [`driver`], or at [`testing`] for a
//! single partner in a test.

#[doc(hidden)]
pub mod board;
#[doc(hidden)]
pub mod diagnostic;
pub mod dns;
#[doc(hidden)]
pub mod document;
pub mod driver;
pub mod event;
#[doc(hidden)]
pub mod inner;
#[doc(hidden)]
pub mod line;
#[doc(hidden)]
pub mod nearest;
#[doc(hidden)]
pub mod negotiate;
pub mod persona;
pub mod pki;
#[doc(hidden)]
pub mod probe;
#[doc(hidden)]
pub mod reaction;
pub mod stanza;
#[doc(hidden)]
pub mod stream;
pub mod testing;
pub mod tls;
pub mod wire;
