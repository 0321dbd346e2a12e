//! Proxies that federate with each other, with gateways, and with partners played by hand.

mod gateway;
mod inbound;
mod outbound;
mod pairs;
mod support;
