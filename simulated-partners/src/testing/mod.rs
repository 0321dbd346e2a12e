//! A single partner in a test: on a free loopback port, with its own authority and DNS,
//! stopped when dropped.
//!
//! Start at [`Partner::named`]; [`blocking`] is for tests without async. Several partners share one
//! authority and one DNS server through a [`Network`].
//!
//! ```
//! use simulated_partners::testing::Partner;
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut partner = Partner::named("google-talk").facing("my.example").start().await?;
//!
//! // What the server under test needs: a DNS server, an authority to trust, and a certificate.
//! let (dns, ca) = (partner.dns(), partner.ca_pem());
//! let certificate = partner.certificate(&["my.example"]);
//! # async fn start_my_server<A, B, C>(_: A, _: B, _: C) -> std::io::Result<std::net::SocketAddr> {
//! #     Ok(([127, 0, 0, 1], 1).into())
//! # }
//! let server = start_my_server(dns, ca, certificate).await?;
//! partner.faces(server)?;
//!
//! // The partner dials and sends an XEP-0199 ping; this server does not exist.
//! partner.ping();
//! let error = partner.established().await.unwrap_err();
//! assert!(error.to_string().contains("connect failed"));
//! # Ok(())
//! # }
//! ```

pub mod blocking;
mod log;
mod network;
mod partner;

#[cfg(test)]
mod tests;

pub use network::Network;
pub use partner::{Builder, Partner, StartError, Waited};
