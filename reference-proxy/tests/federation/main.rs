//! Proxies that federate with each other, with gateways, and with scripted partners.

mod addresses;
mod bidi;
mod bodies;
mod control;
mod dropped;
mod gateway;
mod inbound;
mod inner_link;
mod keep_alive;
mod log;
mod managed;
mod management;
mod methods;
mod outbound;
mod pairs;
mod places;
mod refusals;
mod reload;
mod sharing;
mod stopping;
mod strangers;
mod support;
mod test_im;
mod way_back;
