//! The cases as tests of another project: one test per case, in its own `cargo test`.
//!
//! Tests are named after case ids, so `cargo test -- policies/row07` and nextest's
//! filters, partitions and reruns work. A failing test prints what the command line prints
//! for the same failure; a case that the target cannot be configured for is ignored, with the reason. This
//! module knows nothing about protocols. Start at [`federation`].
//!
//! ```toml
//! # Cargo.toml
//! [dev-dependencies]
//! s2spec = { version = "0.1", default-features = false }
//!
//! [[test]]
//! name = "federation"
//! harness = false
//! ```
//!
//! The server in this example is your own, so the example is compiled but not run;
//! `examples/federation.rs` is the same with a real server.
//!
//! ```no_run
//! // tests/federation.rs
//! use std::process::ExitCode;
//!
//! use s2spec::embed::{InProcess, Instance, Setup, StartError, federation};
//! # use std::net::SocketAddr;
//! # struct Server;
//! # impl Server {
//! #     async fn start(_policy: String, _dns: SocketAddr, _ca: String, _chain: String, _key: String)
//! #         -> Result<Self, std::io::Error> { Err(std::io::Error::other("not here")) }
//! #     fn address(&self) -> SocketAddr { ([127, 0, 0, 1], 5269).into() }
//! #     fn component_address(&self) -> SocketAddr { ([127, 0, 0, 1], 5347).into() }
//! # }
//!
//! struct MyServer;
//!
//! impl InProcess for MyServer {
//!     fn name(&self) -> String {
//!         "my-server 1.2".to_owned()
//!     }
//!
//!     async fn start(&self, setup: Setup<'_>) -> Result<Instance, StartError> {
//!         let (chain, key) = setup.certificate(&["my.example", "im.my.example"]);
//!         let policy = setup.policy().to_string();
//!         let server = Server::start(policy, setup.dns(), setup.ca_pem(), chain, key)
//!             .await
//!             .map_err(|error| StartError::Environment(error.to_string()))?;
//!         Ok(Instance::at("my.example", server.address())
//!             .component(server.component_address(), "im.my.example", "secret")
//!             .keeping(server))
//!     }
//! }
//!
//! fn main() -> ExitCode {
//!     federation(MyServer).cases("policies/**").run()
//! }
//! ```
//!
//! [Scenarios](Federation::scenarios), [requirements](Federation::requirements) and
//! [personas](Federation::personas) of your own are files, as on the command line:
//!
//! ```no_run
//! # use std::process::ExitCode;
//! use s2spec::embed::{federation, target_file};
//!
//! # fn tests() -> ExitCode {
//! federation(target_file("tests/server.toml"))
//!     .personas("tests/personas")
//!     .cases("personas/row07/shy")
//!     .run()
//! # }
//! ```
//!
//! A server that is already running, or is not a Rust program, is described by a file:
//! `federation(target_file("tests/server.toml"))`.

mod federation;
mod in_process;
mod subject;
mod trial;

#[cfg(test)]
mod tests;

pub use crate::subject::{Placement, StartError};
pub use federation::{Federation, federation};
pub use in_process::{InProcess, Instance, Setup};
pub use subject::{Subject, target_file};
