//! Simulated XMPP servers for tests of server-to-server federation.
//!
//! A [`Partner`](driver::Partner) is a correct XMPP server that does what its
//! [`Persona`](persona::Persona) says, wrong things included, and records all that happens as
//! [`Event`](event::Event)s. It knows nothing of verdicts. Start at [`driver`], or at [`testing`] for a
//! partner alone in a test.

pub mod board;
pub mod diagnostic;
pub mod dns;
pub mod document;
pub mod driver;
pub mod event;
pub mod inner;
pub mod nearest;
pub mod negotiate;
pub mod persona;
pub mod pki;
pub mod probe;
pub mod reaction;
pub mod stanza;
pub mod stream;
pub mod testing;
pub mod tls;
pub mod wire;
